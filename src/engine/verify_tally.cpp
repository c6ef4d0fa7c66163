// The meta page's tally against the entries that it speaks of.
//
// It changes in the same change as an entry, but not at the moment at which the walk of the tree
// passes that.  So beside others the leaves are added up again, and what is found counts if it is
// found twice, and neither the tally nor the list of dead ranges, which a value that goes is put
// on, has changed meanwhile.

#include <cstring>

#include "engine/meta.h"
#include "engine/tree.h"
#include "engine/verify_parts.h"

namespace toaststore {

namespace {

// Each reads all leaves.  A cleaner that is at work changes the tally all the time.
constexpr int kMostSums = 4;

bool same(const Tally& a, const Tally& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

class TallyVerifier {
 public:
  explicit TallyVerifier(Verification* verification)
      : verification_(*verification),
        context_(verification->context),
        batch_(verification->context.memory) {}

  Status run() {
    if (verification_.cut_off || !verification_.tally_known) return Status::Ok();
    State now;
    TOASTSTORE_TRY(look(&now));
    if (same(verification_.tally, now.tally)) return Status::Ok();
    if (verification_.beside == VerifyBeside::kWriters) {
      bool wrong = false;
      TOASTSTORE_TRY(look_again(&wrong));
      if (!wrong) return Status::Ok();
    }
    return verification_.fault(kMetaBlock, "tally of settled values is not what the entries are");
  }

 private:
  struct State {
    Tally tally;
    DeadListState dead;
    friend bool operator==(const State& a, const State& b) {
      return same(a.tally, b.tally) && a.dead == b.dead;
    }
  };

  Status look(State* state) {
    MetaBody meta;
    TOASTSTORE_TRY(read_meta(context_, &meta));
    state->tally = meta.settled;
    return read_dead_state(context_, &state->dead);
  }

  Status look_again(bool* wrong) {
    TOASTSTORE_TRY(batch_.allocate(sizeof(LeafBatch)));
    State before;
    TOASTSTORE_TRY(look(&before));
    int in_a_row = 0;
    for (int i = 0; i < kMostSums && in_a_row < 2; i++) {
      Tally sum{};
      TOASTSTORE_TRY(add_up(&sum));
      State after;
      TOASTSTORE_TRY(look(&after));
      if (same(sum, after.tally)) return Status::Ok();
      in_a_row = before == after ? in_a_row + 1 : 0;
      before = after;
    }
    *wrong = in_a_row == 2;
    return Status::Ok();
  }

  Status add_up(Tally* sum) {
    auto* batch = new (batch_.as()) LeafBatch();
    for (uint64_t key = 0; key < kInfinity; key = batch->next) {
      TOASTSTORE_TRY(context_.pager.pause(Step::kVerifyPage));
      TOASTSTORE_TRY(read_forward(context_, key, batch));
      for (uint16_t i = 0; i < batch->count; i++) {
        if (batch->entries[i].settled()) count_in(batch->entries[i], sum);
      }
    }
    return Status::Ok();
  }

  Verification& verification_;
  Context& context_;
  Scratch batch_;
};

}  // namespace

Status verify_tally(Verification* verification) { return TallyVerifier(verification).run(); }

}  // namespace toaststore
