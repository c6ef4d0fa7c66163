// The pages of a store as they are on disk, read without opening it: for looking at what can't be
// opened, too.  What is in the log only is not in them.

#ifndef TOASTSTORE_CTL_PAGE_FILE_H_
#define TOASTSTORE_CTL_PAGE_FILE_H_

#include <memory>
#include <string>

#include "engine/format.h"
#include "file/data_file.h"

namespace toaststore::ctl {

class PageFile {
 public:
  enum class Part : uint8_t { kData, kNames };

  // `store` is a directory of a store, or a server's file, which has no part but its data.
  explicit PageFile(const std::string& store, Part part = Part::kData);

  bool of_server() const { return of_server_; }
  Block blocks() const { return file_->blocks(); }
  // REQUIRES: block < blocks().
  void read(Block block, std::byte* page);
  // False: there is no sound meta page.
  bool read_meta(MetaBody* meta);

 private:
  std::string path_;
  bool of_server_;
  std::unique_ptr<DataFile> file_;  // large
};

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_PAGE_FILE_H_
