// Pieces of values in the log: core's own heap-insert records.
//
// A value page is a heap page, so RM_HEAP's XLOG_HEAP_INSERT replays a piece without a resource
// manager of our own, without a page image, and with the value's bytes exactly once.  What redo
// builds from the record must be what add_piece() built (heap_xlog_insert): xmin is the record's
// transaction, cid is 0, ctid the piece's own place.

#include "engine/value_page.h"
#include "postgres/host.h"

namespace toaststore {

namespace {

void log_piece(Buffer buffer, bool fresh, const PlacedPiece& placed) {
  const Page page = buffer_page(buffer);
  const auto* tuple = reinterpret_cast<HeapTupleHeader>(page + placed.offset);
  xl_heap_insert insert;
  insert.offnum = placed.item;
  insert.flags = 0;
  xl_heap_header header;
  header.t_infomask2 = tuple->t_infomask2;
  header.t_infomask = tuple->t_infomask;
  header.t_hoff = tuple->t_hoff;

  XLogBeginInsert();
  XLogRegisterData(reinterpret_cast<char*>(&insert), SizeOfHeapInsert);
  XLogRegisterBuffer(0, buffer,
                     static_cast<uint8>(REGBUF_STANDARD | (fresh ? REGBUF_WILL_INIT : 0)));
  XLogRegisterBufData(0, reinterpret_cast<char*>(&header), SizeOfHeapHeader);
  XLogRegisterBufData(0, page + placed.offset + SizeofHeapTupleHeader,
                      placed.length - static_cast<int>(SizeofHeapTupleHeader));
  const auto info = static_cast<uint8>(XLOG_HEAP_INSERT | (fresh ? XLOG_HEAP_INIT_PAGE : 0));
  set_page_lsn(page, XLogInsert(RM_HEAP_ID, info));
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
  if (RelationNeedsWAL(rel_)) log_piece(buffer, piece.fresh, placed);
  END_CRIT_SECTION();
  stop_after(Step::kWritePiece);
  UnlockReleaseBuffer(buffer);
  *item = placed.item;
  return Status::Ok();
}

}  // namespace toaststore
