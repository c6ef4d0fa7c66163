// Chains of append-only pages: each lane's journal, and the store's list of dead ranges.
//
// Records are appended to the chain's last page in the same change as what they record.  A fresh
// page is linked, in a change of its own, before the record that needs it.
//
// Invariants:
//   * A page's records are covered by a running CRC in its tail, so an append costs the CRC of the
//     new records only.
//   * The last page of a journal carries its lane's next id and position (ChainTail).
//   * The end of a chain is known by a hint, which may lead to what is a page of the tree or of
//     another chain by now.  So who holds a latch takes that of a chain's end only where it is
//     free; who has to wait for it lets go of all others first, and comes with a fresh hint.

#ifndef TOASTSTORE_ENGINE_CHAIN_H_
#define TOASTSTORE_ENGINE_CHAIN_H_

#include "engine/context.h"

namespace toaststore {

// Which chain: a lane's journal, or the list of dead ranges.
struct ChainId {
  PageKind kind;
  uint8_t lane;

  static ChainId journal(uint8_t lane) { return {PageKind::kJournal, lane}; }
  static ChainId dead() { return {PageKind::kDead, 0}; }
  uint16_t capacity() const {
    return kind == PageKind::kJournal ? kJournalCapacity : kDeadCapacity;
  }
  size_t record_bytes() const {
    return kind == PageKind::kJournal ? sizeof(JournalRecord) : sizeof(DeadRecord);
  }
};

// Where a chain starts and ends.
Block& chain_head(MetaBody* body, ChainId chain);
Block& chain_tail(MetaBody* body, ChainId chain);

// Latches the chain's last page.  kRetry: it has none yet.  REQUIRES: no latch is held.
Status latch_chain_tail(Context& context, ChainId chain, Latch latch, PageGuard* page);

// Latches the chain's last page exclusively, if it is known, free and has room for `records` more.
// kRetry: release every latch, call ensure_chain_room() and start over.
Status try_chain_tail(Context& context, ChainId chain, uint16_t records, PageGuard* page);

// Waits for the chain's last page, and links a fresh one behind it if it has no room for `records`
// more.  REQUIRES: no latch is held.
Status ensure_chain_room(Context& context, ChainId chain, uint16_t records);

// Stages records and the page's new tail; `tail` is the page's own with next_id and position as
// they are to be.  The records must live until the change commits.
template <typename Record>
void stage_records(const PageGuard& page, ChainTail tail, const Record* records, uint16_t count,
                   Change* change) {
  const int slot = change->add(page);
  change->write(slot, record_offset<Record>(tail.count), records, count * sizeof(Record));
  tail.records_crc = crc32c_extend(tail.records_crc, records, count * sizeof(Record));
  tail.count = static_cast<uint16_t>(tail.count + count);
  change->put_lower(slot, record_offset<Record>(tail.count));
  change->put_tail(slot, tail);
}

// Notes a transaction of a record about to be staged.
void note_xid(Xid xid, ChainTail* tail);

// What is listed when an entry gives up its pieces.
DeadRecord dead_record(const Entry& entry);

// For the cleaner, the only one that takes pages off a chain.  Copies the tail and the records of
// the first page, proven; *block is kNoBlock where there is none.
Status read_first_page(Context& context, ChainId chain, Block* block, ChainTail* tail,
                       void* records);
// Gives the first page back.  REQUIRES: all its records are consumed, and it is not the last.
Status unlink_first_page(Context& context, ChainId chain, Block block);

// Moves the end of the chain to a fresh page, if nothing in the old one is left to be consumed and
// that is its only one.  REQUIRES: no latch is held.
Status renew_chain(Context& context, ChainId chain);

// Proves the records of a page of the chain.
Status check_chain_page(const PageGuard& page, ChainId chain);

}  // namespace toaststore

#endif  // TOASTSTORE_ENGINE_CHAIN_H_
