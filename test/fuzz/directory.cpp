// Any bytes as the control file and the log of a store: opened and recovered, or refused.
//
// The input is a byte that says how many bytes of control file follow, in 16s, those, and the log's
// first segment.

#include <cstring>

#include "file/control.h"
#include "file/log.h"
#include "support/memory_files.h"
#include "toaststore/store.h"

namespace {

class Ignore final : public toaststore::FaultVisitor {
 public:
  toaststore::Status fault(toaststore::Block, uint64_t, const char*) override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t length) {
  using namespace toaststore;
  if (length == 0) return 0;
  const size_t control_length = std::min<size_t>(size_t{input[0]} * 8, length - 1);
  const auto* bytes = reinterpret_cast<const std::byte*>(input + 1);
  fuzz::MemoryFiles files;
  auto content = [](const std::byte* from, size_t count) {
    return std::make_shared<std::vector<std::byte>>(from, from + count);
  };
  StoreOptions options;
  options.files = &files;
  options.cache_bytes = 1 << 20;
  options.log_segment_bytes = kMinSegmentBytes;
  Store* store;
  if (!Store::open("s", options, &store).ok()) return 0;  // makes the files of pages
  delete store;
  files.files["s/control"] = content(bytes, control_length);
  Control control;
  if (!read_control(files, "s", &control).ok() || control.segment_bytes > 64 << 20) return 0;
  char path[kMaxPath];
  segment_path("s", control.redo / control.segment_bytes, path);
  files.files[path] = content(bytes + control_length, length - 1 - control_length);

  if (!Store::open("s", options, &store).ok()) return 0;
  Ignore ignore;
  (void)store->verify(&ignore);
  delete store;
  return 0;
}
