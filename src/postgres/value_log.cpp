// Pieces of values in the log: core's own heap-insert records.
//
// A value page is a heap page, so RM_HEAP's XLOG_HEAP_INSERT replays a piece without a resource
// manager of our own, without a page image, and with the value's bytes exactly once.  What redo
// builds from the record must be what add_piece() built (heap_xlog_insert): xmin is the record's
// transaction, cid is 0, ctid the piece's own place.
//
// Logical decoding puts a value together from the records of its table's TOAST table that are
// marked for it, in the order of the pieces.  Pieces of a value that is stored as it is are marked
// themselves.  Of any other value a copy is logged beside it: records that insert into block 0, an
// empty page, and carry that page's image, so that redo has nothing to insert.

#include "engine/value_page.h"
#include "postgres/host.h"

namespace toaststore {

namespace {

constexpr uint8 kDecoded = XLH_INSERT_CONTAINS_NEW_TUPLE | XLH_INSERT_ON_TOAST_RELATION;

void log_piece(Buffer buffer, bool fresh, bool decoded, const PlacedPiece& placed) {
  const Page page = buffer_page(buffer);
  const auto* tuple = reinterpret_cast<HeapTupleHeader>(page + placed.offset);
  xl_heap_insert insert;
  insert.offnum = placed.item;
  insert.flags = decoded ? kDecoded : 0;
  xl_heap_header header;
  header.t_infomask2 = tuple->t_infomask2;
  header.t_infomask = tuple->t_infomask;
  header.t_hoff = tuple->t_hoff;

  XLogBeginInsert();
  XLogRegisterData(reinterpret_cast<char*>(&insert), SizeOfHeapInsert);
  XLogRegisterBuffer(0, buffer,
                     static_cast<uint8>(REGBUF_STANDARD | (fresh ? REGBUF_WILL_INIT : 0) |
                                        (decoded ? REGBUF_KEEP_DATA : 0)));
  XLogRegisterBufData(0, reinterpret_cast<char*>(&header), SizeOfHeapHeader);
  XLogRegisterBufData(0, page + placed.offset + SizeofHeapTupleHeader,
                      placed.length - static_cast<int>(SizeofHeapTupleHeader));
  if (decoded) XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
  const auto info = static_cast<uint8>(XLOG_HEAP_INSERT | (fresh ? XLOG_HEAP_INIT_PAGE : 0));
  const XLogRecPtr end = XLogInsert(RM_HEAP_ID, info);
  set_page_lsn(page, end);
  write_behind(placed.length, end);
}

}  // namespace

Status ServerPager::write_piece(const PieceWrite& piece, uint16_t* item) {
  Buffer buffer;
  if (piece.fresh) {
    buffer = ReadBufferExtended(rel_, MAIN_FORKNUM, piece.block, RBM_ZERO_AND_LOCK, nullptr);
  } else {
    buffer = ReadBuffer(rel_, piece.block);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    PageFill fill;
    const Status status =
        read_fill(reinterpret_cast<std::byte*>(buffer_page(buffer)), piece.block, &fill);
    if (!status.ok() || fill.room(piece.kind) < piece.length) {
      UnlockReleaseBuffer(buffer);
      return Status::Corruption(piece.block, "value page has less room than was found");
    }
  }
  const TransactionId xmin = GetCurrentTransactionIdIfAny();
  auto* page = reinterpret_cast<std::byte*>(buffer_page(buffer));
  START_CRIT_SECTION();
  // A page of an earlier use may still be in the buffer: it starts anew.
  if (piece.fresh) init_value_page(page);
  const PlacedPiece placed = add_piece(page, piece, xmin);
  MarkBufferDirty(buffer);
  // Chunk tables are no part of the value.
  const bool decoded = logical_ && piece.sequence < kTableSequence;
  if (RelationNeedsWAL(rel_)) log_piece(buffer, piece.fresh, decoded, placed);
  END_CRIT_SECTION();
  stop_after(Step::kWritePiece);
  UnlockReleaseBuffer(buffer);
  *item = placed.item;
  return Status::Ok();
}

namespace {

// What a piece of a copy has before its bytes: the padding of the tuple's header, id, sequence and
// the length word.
struct CopyHead {
  char padding[sizeof(uint64_t) * 3 - SizeofHeapTupleHeader];
  char id[sizeof(Oid)];
  char sequence[sizeof(int32)];
  char length_word[VARHDRSZ];
};
static_assert(sizeof(CopyHead) == 13);

// A buffer's data in a record is limited to 64 kB, which is not checked.
constexpr Size kCopyBytes = UINT16_MAX - SizeOfHeapHeader - sizeof(CopyHead);

void log_copied_piece(Relation store, char* empty_page, Oid id, int32 sequence, const char* bytes,
                      Size length) {
  xl_heap_insert insert;
  insert.offnum = FirstOffsetNumber;
  insert.flags = kDecoded;
  xl_heap_header header;
  header.t_infomask2 = 3;
  header.t_infomask = HEAP_HASVARWIDTH | HEAP_XMAX_INVALID;
  header.t_hoff = MAXALIGN(SizeofHeapTupleHeader);
  CopyHead head{};
  varlena word;
  SET_VARSIZE(&word, length + VARHDRSZ);
  memcpy(head.id, &id, sizeof(id));
  memcpy(head.sequence, &sequence, sizeof(sequence));
  memcpy(head.length_word, &word, VARHDRSZ);

  XLogBeginInsert();
  XLogRegisterData(reinterpret_cast<char*>(&insert), SizeOfHeapInsert);
  XLogRegisterBlock(0, &store->rd_node, MAIN_FORKNUM, 0, empty_page,
                    REGBUF_STANDARD | REGBUF_FORCE_IMAGE | REGBUF_KEEP_DATA);
  XLogRegisterBufData(0, reinterpret_cast<char*>(&header), SizeOfHeapHeader);
  XLogRegisterBufData(0, reinterpret_cast<char*>(&head), sizeof(head));
  XLogRegisterBufData(0, const_cast<char*>(bytes), static_cast<int>(length));
  XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
  write_behind(length, XLogInsert(RM_HEAP_ID, XLOG_HEAP_INSERT));
}

}  // namespace

void log_copy(Relation store, Oid id, const char* bytes, Size length) {
  PGAlignedBlock empty;
  init_value_page(reinterpret_cast<std::byte*>(empty.data));
  int32 sequence = 0;
  for (Size done = 0; done < length;) {
    CHECK_FOR_INTERRUPTS();
    const Size part = Min(kCopyBytes, length - done);
    log_copied_piece(store, empty.data, id, sequence++, bytes + done, part);
    done += part;
  }
}

}  // namespace toaststore
