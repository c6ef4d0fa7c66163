// The order of a verification, and what its parts share.

#include "engine/verify.h"

#include <algorithm>
#include <bit>

#include "engine/meta.h"
#include "engine/verify_parts.h"

namespace toaststore {

// ---- the filter of journal records -----------------------------------------------------------

namespace {

constexpr uint64_t kFewestBits = uint64_t{1} << 19;  // 64 kB
constexpr uint64_t kMostBits = uint64_t{1} << 29;    // 64 MB
constexpr uint64_t kBitsPerRecord = 16;
// With 16 bits a record one in 2,000 is taken for another.
constexpr int kProbes = 6;

// The finalizer of MurmurHash3.
uint64_t mix(uint64_t word) {
  word = (word ^ (word >> 33)) * 0xff51afd7ed558ccd;
  word = (word ^ (word >> 33)) * 0xc4ceb9fe1a85ec53;
  return word ^ (word >> 33);
}

// Double hashing.
struct Probes {
  Probes(uint64_t id, Xid xid, JournalAction action)
      : at(mix(id ^ mix(uint64_t{xid} << 8 | static_cast<uint8_t>(action)))), step(mix(at) | 1) {}
  uint64_t next() { return at += step; }
  uint64_t at;
  uint64_t step;
};

}  // namespace

Status RecordFilter::allocate(uint64_t records) {
  const uint64_t wanted = std::min(records, kMostBits) * kBitsPerRecord;
  const uint64_t bits = std::bit_ceil(std::clamp(wanted, kFewestBits, kMostBits));
  TOASTSTORE_TRY(bits_.allocate(bits / 8));
  std::memset(bits_.as(), 0, bits / 8);
  mask_ = bits - 1;
  return Status::Ok();
}

void RecordFilter::add(const JournalRecord& record) {
  Probes probes(record.id, record.xid, record.action);
  for (int i = 0; i < kProbes; i++) {
    const uint64_t bit = probes.next() & mask_;
    bits_.as<uint8_t>()[bit / 8] |= static_cast<uint8_t>(1u << (bit % 8));
  }
}

bool RecordFilter::may_hold(uint64_t id, Xid xid, JournalAction action) const {
  Probes probes(id, xid, action);
  for (int i = 0; i < kProbes; i++) {
    const uint64_t bit = probes.next() & mask_;
    if ((bits_.as<uint8_t>()[bit / 8] >> (bit % 8) & 1) == 0) return false;
  }
  return true;
}

// ---- what the parts share --------------------------------------------------------------------

namespace {

// Of an extent with a fault: its bytes are not judged.
constexpr uint32_t kNotJudged = UINT32_MAX;

}  // namespace

Verification::Verification(Context& port, FaultSink* faults, VerifyBeside others)
    : context(port),
      beside(others),
      journaled(port.memory),
      sink_(faults),
      reached_(port.memory),
      claimed_(port.memory) {}

Status Verification::begin() {
  // What is over by now is in the journals by the time that they are walked.
  oldest_ = context.transactions.oldest_running();
  blocks = context.pager.blocks();
  extents_ = blocks > kFirstExtentBlock ? extent_of(blocks - 1) + 1 : 0;
  TOASTSTORE_TRY(reached_.allocate(blocks / 8 + 1));
  std::memset(reached_.as(), 0, blocks / 8 + 1);
  TOASTSTORE_TRY(claimed_.allocate(size_t{extents_} * sizeof(uint32_t)));
  std::memset(claimed_.as(), 0, size_t{extents_} * sizeof(uint32_t));
  return Status::Ok();
}

Status Verification::report(const Status& status, uint64_t id) {
  switch (status.code) {
    case Code::kRetry:
    case Code::kCorruption:
      return fault(status.block, status.reason, id);
    default:
      return status;
  }
}

Status Verification::fault(Block block, const char* reason, uint64_t id) {
  if (block >= kFirstExtentBlock && extent_of(block) < extents_) {
    claimed_.as<uint32_t>()[extent_of(block)] = kNotJudged;
  }
  return sink_->report({block, id, reason});
}

void Verification::reach(Block block) {
  if (block < blocks) reached_.as<uint8_t>()[block / 8] |= static_cast<uint8_t>(1u << (block % 8));
}

bool Verification::was_reached(Block block) const {
  return block < blocks && (reached_.as<uint8_t>()[block / 8] >> (block % 8) & 1) != 0;
}

void Verification::claim(const RunRef& run) {
  if (run.block < kFirstExtentBlock) return;
  each_piece(context.options.kind, run, [this](Extent extent, uint32_t bytes) {
    if (extent >= extents_) return;
    uint32_t& sum = claimed_.as<uint32_t>()[extent];
    if (sum != kNotJudged) sum = std::min(sum, kNotJudged - 1 - bytes) + bytes;
  });
}

bool Verification::claimed(Extent extent, uint32_t* bytes) const {
  *bytes = extent < extents_ ? claimed_.as<uint32_t>()[extent] : kNotJudged;
  return *bytes != kNotJudged;
}

bool Verification::settled(Xid xid) const {
  return beside == VerifyBeside::kNobody || xid_precedes(xid, static_cast<Xid>(oldest_));
}

Status verify(Context& context, FaultSink* sink, VerifyBeside beside) {
  Verification verification(context, sink, beside);
  const Status status = read_meta(context, &verification.meta);
  if (status.is(Code::kNotFound)) return Status::Ok();
  if (!status.ok()) return verification.report(status);
  TOASTSTORE_TRY(verification.begin());
  for (const auto part : {verify_lanes, verify_chains, verify_tree, verify_tally, verify_space}) {
    TOASTSTORE_TRY(verification.report(part(&verification)));
  }
  return Status::Ok();
}

}  // namespace toaststore
