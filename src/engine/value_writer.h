// Writing a value in the layout that its size asks for.
//
//   chunked  above extent_max raw bytes
//   direct   up to direct_max stored bytes: one piece, or two on adjacent pages
//   extent   between: a run of contiguous pages
//
// A value comes in parts, each in the form in which it is to be stored: compressed here, or copied
// from where it was.  Nothing refers to the pieces until the entry is inserted.

#ifndef TOASTSTORE_ENGINE_VALUE_WRITER_H_
#define TOASTSTORE_ENGINE_VALUE_WRITER_H_

#include "engine/appender.h"

namespace toaststore {

inline constexpr uint64_t kMaxValueBytes = uint64_t{1} << 36;

// A chunk, or all of a value that is not chunked, as it is stored.
struct StoredPart {
  const std::byte* bytes;
  uint32_t length;
  Codec codec;
};

// Where the parts of a value come from.
class PartSource {
 public:
  // The part with this index; its bytes last until the next call.
  virtual Status read(uint64_t part, StoredPart* stored) = 0;

 protected:
  ~PartSource() = default;
};

// Fills in all of *entry but its stamps and check.
Status write_parts(Context& context, Appender* appender, uint64_t id, uint64_t length,
                   PartSource* source, Entry* entry);

// Parts of raw bytes, compressed as the context's options say.
class RawParts final : public PartSource {
 public:
  RawParts(Context& context, const std::byte* bytes, uint64_t length)
      : context_(context), bytes_(bytes), length_(length), space_(context.memory) {}

  Status read(uint64_t part, StoredPart* stored) override;

 private:
  Context& context_;
  const std::byte* bytes_;
  const uint64_t length_;
  Scratch space_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_VALUE_WRITER_H_
