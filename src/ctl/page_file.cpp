// Reading pages for people to look at.

#include "ctl/page_file.h"

#include <filesystem>

#include "ctl/command.h"

namespace toaststore::ctl {

PageFile::PageFile(const std::string& store, Part part)
    : path_(store), file_(std::make_unique<DataFile>(posix_files())) {
  std::error_code error;
  of_server_ = !std::filesystem::is_directory(store, error);
  if (!of_server_) path_ += part == Part::kData ? "/data" : "/names";
  if (part != Part::kData && std::filesystem::is_regular_file(store, error)) {
    throw Failure(kFailed, path_ + ": a server's store has no names");
  }
  expect(file_->open(path_.c_str(), Files::Mode::kRead), path_);
}

void PageFile::read(Block block, std::byte* page) { expect(file_->read(block, page), path_); }

bool PageFile::read_meta(MetaBody* meta) {
  if (blocks() <= kMetaBlock) return false;
  std::byte page[kPageBytes];
  read(kMetaBlock, page);
  *meta = load<MetaBody>(page, kPageHeaderBytes);
  return check_page(page, kMetaBlock, PageKind::kMeta).ok();
}

}  // namespace toaststore::ctl
