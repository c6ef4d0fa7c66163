// Changes in the log: core's own records of generic changes, made from the engine's patches.
//
// GenericXLogFinish() copies each page twice and compares the copies byte by byte to find what has
// changed.  The engine says where it changes them, so the record that RM_GENERIC replays is written
// from its patches, less the bytes that stay as they are: for each page a list of fragments
//
//   offset (uint16), length (uint16), bytes
//
// (applyPageRedo in generic_xlog.c).  Redo applies them in order and clears what lies between the
// page's lower and upper end, so that must be clear here, too.  A page that is fresh goes into the
// log as a whole.

#include "postgres/host.h"

namespace toaststore {

namespace {

// A fragment costs two numbers: more equal bytes than that between two that differ are worth
// leaving out.
constexpr size_t kFragmentHeaderBytes = 2 * sizeof(OffsetNumber);
constexpr uint16_t kWorthASplit = kFragmentHeaderBytes + 1;
// No byte of a page is patched more than twice, and equal runs that are left out pay for the header
// of the fragment that follows.
constexpr size_t kDeltaSpace =
    size_t{Change::kMaxPages} * 2 * kPageBytes + Change::kMaxPatches * kFragmentHeaderBytes;

// The fragments of all pages, each page's together.  A patch may copy from one of the pages, so
// all are gathered before the first is applied.
class Delta {
 public:
  explicit Delta(const Change& change) : change_(change) {
    for (int page = 0; page < change.pages(); page++) {
      begin_[page] = end_;
      for (int i = 0; i < change.patches(); i++) {
        if (change.patch(i).page == page) add(i);
      }
    }
    begin_[change.pages()] = end_;
  }

  char* bytes(int page) { return space_ + begin_[page]; }
  size_t length(int page) const { return begin_[page + 1] - begin_[page]; }

  // Writes the patches to a page.
  void apply(int index, char* page) {
    const char* next = bytes(index);
    const char* end = next + length(index);
    while (next < end) {
      OffsetNumber place[2];
      memcpy(place, next, sizeof(place));
      next += sizeof(place);
      memcpy(page + place[0], next, place[1]);
      next += place[1];
    }
  }

 private:
  // Does the page still hold what it will hold when patch `index` comes to be applied?
  bool untouched(int index) const {
    const Change::Patch& patch = change_.patch(index);
    if (change_.page(patch.page).fresh) return false;
    for (int i = 0; i < index; i++) {
      const Change::Patch& before = change_.patch(i);
      if (before.page == patch.page && before.offset < patch.offset + patch.length &&
          patch.offset < before.offset + before.length) {
        return false;
      }
    }
    return true;
  }

  // Adds what a patch changes.
  void add(int index) {
    const Change::Patch& patch = change_.patch(index);
    const auto* bytes = static_cast<const std::byte*>(patch.bytes);
    if (!untouched(index)) {
      add(patch.offset, bytes, patch.length);
      return;
    }
    const std::byte* old = change_.page(patch.page).data + patch.offset;
    uint16_t begin = 0;  // of what differs
    uint16_t end = 0;    // up to here it does
    for (uint16_t i = 0; i < patch.length; i++) {
      if (bytes[i] == old[i]) continue;
      if (i - end >= kWorthASplit || end == 0) {
        add(static_cast<uint16_t>(patch.offset + begin), bytes + begin,
            static_cast<uint16_t>(end - begin));
        begin = i;
      }
      end = static_cast<uint16_t>(i + 1);
    }
    add(static_cast<uint16_t>(patch.offset + begin), bytes + begin,
        static_cast<uint16_t>(end - begin));
  }

  void add(uint16_t offset, const std::byte* bytes, uint16_t length) {
    if (length == 0) return;
    const OffsetNumber place[2] = {offset, length};
    if (end_ + sizeof(place) + length > sizeof(space_)) {
      elog(ERROR, "change of toaststore step %d is too large", static_cast<int>(change_.step()));
    }
    memcpy(space_ + end_, place, sizeof(place));
    memcpy(space_ + end_ + sizeof(place), bytes, length);
    end_ += sizeof(place) + length;
  }

  const Change& change_;
  size_t end_ = 0;
  size_t begin_[Change::kMaxPages + 1];
  char space_[kDeltaSpace];
};

uint16_t lower_of(const char* page) {
  return load<uint16_t>(reinterpret_cast<const std::byte*>(page), offsetof(PageHeader, lower));
}

// Applies a page's patches; what its records have left is cleared.
void apply_to(Delta* delta, int index, const PageRef& page) {
  char* data = buffer_page(static_cast<Buffer>(page.handle));
  if (page.fresh) MemSet(data, 0, BLCKSZ);
  const uint16_t before = lower_of(data);
  delta->apply(index, data);
  const uint16_t after = lower_of(data);
  if (after < before) memset(data + after, 0, before - after);
}

}  // namespace

Status ServerPager::apply(const Change& change) {
  Delta delta(change);
  const bool logged = RelationNeedsWAL(rel_);
  if (logged) XLogBeginInsert();

  START_CRIT_SECTION();
  for (int i = 0; i < change.pages(); i++) {
    const PageRef& page = change.page(i);
    const auto buffer = static_cast<Buffer>(page.handle);
    apply_to(&delta, i, page);
    MarkBufferDirty(buffer);
    if (!logged) continue;
    XLogRegisterBuffer(static_cast<uint8>(i), buffer,
                       static_cast<uint8>(REGBUF_STANDARD | (page.fresh ? REGBUF_FORCE_IMAGE : 0)));
    if (!page.fresh && delta.length(i) > 0) {
      XLogRegisterBufData(static_cast<uint8>(i), delta.bytes(i), static_cast<int>(delta.length(i)));
    }
  }
  if (logged) {
    const XLogRecPtr lsn = XLogInsert(RM_GENERIC_ID, 0);
    for (int i = 0; i < change.pages(); i++) {
      set_page_lsn(buffer_page(static_cast<Buffer>(change.page(i).handle)), lsn);
    }
  }
  END_CRIT_SECTION();
  changes_++;
  stop_after(change.step());
  return Status::Ok();
}

}  // namespace toaststore
