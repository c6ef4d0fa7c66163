// The table of transactions, and visibility by it.

#include "file/transactions.h"

#include <algorithm>
#include <new>

namespace toaststore {

namespace {

// Ids are compared as numbers: a store that has used them up takes no more batches.
constexpr Xid kLastXid = 0xfffffff0;

}  // namespace

bool XidSnapshot::sees(Xid xid) const {
  return xid < next && !std::binary_search(running, running + count, xid);
}

Status XidTable::load(Xid next, const Xid* aborted, uint32_t count) {
  aborted_space_ = count + kMaxRunning;
  aborted_.reset(new (std::nothrow) Xid[aborted_space_]);
  if (aborted_ == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  std::copy(aborted, aborted + count, aborted_.get());
  std::sort(aborted_.get(), aborted_.get() + count);
  aborted_count_ = count;
  next_ = std::max(next, kFirstNormalXid);
  settled_ = next_;
  return Status::Ok();
}

XidTable::Running* XidTable::find(Xid xid) {
  for (uint32_t i = 0; i < count_; i++) {
    if (running_[i].xid == xid) return &running_[i];
  }
  return nullptr;
}

Status XidTable::begin(Xid* xid) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (next_ >= kLastXid) return Status::Error(Code::kLimit, "store has used up its transactions");
  if (count_ == kMaxRunning) return Status::Error(Code::kLimit, "too many batches are open");
  // Room for all that run to abort: that must not fail.
  if (aborted_count_ + count_ + 1 > aborted_space_) {
    const uint32_t space = aborted_space_ * 2 + kMaxRunning;
    std::unique_ptr<Xid[]> more(new (std::nothrow) Xid[space]);
    if (more == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
    std::copy(aborted_.get(), aborted_.get() + aborted_count_.load(), more.get());
    aborted_ = std::move(more);
    aborted_space_ = space;
  }
  *xid = next_++;
  running_[count_++] = {*xid, kNoXid, nullptr, false};
  settle();
  return Status::Ok();
}

void XidTable::set_logged(Xid xid) {
  const std::lock_guard<std::mutex> lock(mutex_);
  find(xid)->logged = true;
}

// `settled_` is the oldest id that runs, or the next one.
void XidTable::settle() {
  Xid oldest = next_;
  for (uint32_t i = 0; i < count_; i++) oldest = std::min(oldest, running_[i].xid);
  settled_.store(oldest, std::memory_order_release);
}

void XidTable::end(Xid xid, bool aborted) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (aborted) {
    Xid* end = aborted_.get() + aborted_count_.load();
    Xid* place = std::lower_bound(aborted_.get(), end, xid);
    std::copy_backward(place, end, end + 1);
    *place = xid;
    aborted_count_.fetch_add(1, std::memory_order_release);
  }
  *find(xid) = running_[count_ - 1];
  count_--;
  settle();
  ended_.notify_all();
}

bool XidTable::in_aborted(Xid xid) const {
  return std::binary_search(aborted_.get(), aborted_.get() + aborted_count_.load(), xid);
}

bool XidTable::committed(Xid xid) {
  if (xid < kFirstNormalXid) return xid != kNoXid;
  const bool settled = xid < settled_.load(std::memory_order_acquire);
  if (settled && aborted_count_.load(std::memory_order_acquire) == 0) return true;
  const std::lock_guard<std::mutex> lock(mutex_);
  return xid < next_ && find(xid) == nullptr && !in_aborted(xid);
}

bool XidTable::running(Xid xid) {
  if (xid < settled_.load(std::memory_order_acquire)) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  return find(xid) != nullptr;
}

void XidTable::snapshot(XidSnapshot* snapshot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  take(snapshot);
}

// REQUIRES: under the mutex.
void XidTable::take(XidSnapshot* snapshot) const {
  snapshot->next = next_;
  snapshot->count = count_;
  for (uint32_t i = 0; i < count_; i++) snapshot->running[i] = running_[i].xid;
  std::sort(snapshot->running, snapshot->running + count_);
}

bool XidTable::needed(Xid creator, Xid deleter) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const OpenSnapshot* open = open_; open != nullptr; open = open->after_) {
    if (open->snapshot_.sees(creator) && !open->snapshot_.sees(deleter)) return true;
  }
  return false;
}

Xid XidTable::horizon() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Xid oldest = settled_.load(std::memory_order_relaxed);
  for (const OpenSnapshot* open = open_; open != nullptr; open = open->after_) {
    const XidSnapshot& snapshot = open->snapshot_;
    oldest = std::min(oldest, snapshot.count > 0 ? snapshot.running[0] : snapshot.next);
  }
  return oldest;
}

OpenSnapshot::OpenSnapshot(XidTable& table) : table_(table) {
  const std::lock_guard<std::mutex> lock(table_.mutex_);
  table_.take(&snapshot_);
  after_ = table_.open_;
  if (after_ != nullptr) after_->before_ = this;
  table_.open_ = this;
}

OpenSnapshot::~OpenSnapshot() {
  const std::lock_guard<std::mutex> lock(table_.mutex_);
  (before_ != nullptr ? before_->after_ : table_.open_) = after_;
  if (after_ != nullptr) after_->before_ = before_;
}

// Does `other` wait for `self`?  REQUIRES: under the mutex.
Status XidTable::check_circle(Xid self, Xid other) {
  while (other != kNoXid) {
    if (other == self) return Status::Error(Code::kConflict, "batches wait for each other");
    const Running* next = find(other);
    if (next == nullptr) break;
    other = next->lane != nullptr ? next->lane->load() : next->waits_for;
  }
  return Status::Ok();
}

Status XidTable::wait(Xid self, Xid holder) {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (find(holder) == nullptr) return Status::Ok();
    TOASTSTORE_TRY(check_circle(self, holder));
    if (self != kNoXid) find(self)->waits_for = holder;
    ended_.wait(lock);
    if (self != kNoXid) find(self)->waits_for = kNoXid;
  }
}

bool XidTable::try_lock_lane(uint8_t lane, Xid self) {
  Xid nobody = kNoXid;
  return lanes_[lane].compare_exchange_strong(nobody, self);
}

// A holder that ends its call looks for those who wait after it has let go, and they count
// themselves before they look at the lane: one of the two sees the other.
Status XidTable::lock_lane(uint8_t lane, Xid self) {
  std::unique_lock<std::mutex> lock(mutex_);
  lane_waiters_++;
  Status status;
  while (status.ok() && !try_lock_lane(lane, self)) {
    status = check_circle(self, lanes_[lane].load());
    if (!status.ok()) break;
    if (Running* waiter = find(self)) waiter->lane = &lanes_[lane];
    ended_.wait(lock);
    if (Running* waiter = find(self)) waiter->lane = nullptr;
  }
  lane_waiters_--;
  return status;
}

void XidTable::unlock_lane(uint8_t lane) {
  lanes_[lane].store(kNoXid);
  if (lane_waiters_.load() == 0) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_.notify_all();
}

Status XidTable::unfinished(Xid* next, std::unique_ptr<Xid[]>* xids, uint32_t* count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  *next = next_;
  xids->reset(new (std::nothrow) Xid[aborted_count_ + count_ + 1]);
  if (*xids == nullptr) return Status::Error(Code::kNoMemory, "out of memory");
  std::copy(aborted_.get(), aborted_.get() + aborted_count_.load(), xids->get());
  *count = aborted_count_;
  for (uint32_t i = 0; i < count_; i++) {
    if (!running_[i].logged) (*xids)[(*count)++] = running_[i].xid;
  }
  return Status::Ok();
}

bool FileTransactions::seen(Xid xid) {
  if (table_.trusts_all()) return xid != kNoXid;
  if (xid == xid_ && xid != kNoXid) return true;
  if (!table_.committed(xid)) return false;
  return snapshot_ == nullptr || snapshot_->sees(xid);
}

Status FileTransactions::wait(Xid holder) {
  if (writing_ != nullptr) writing_->unlock();
  const Status status = table_.wait(xid_, holder);
  if (writing_ != nullptr) writing_->lock();
  return status;
}

bool FileTransactions::visible(const Stamps& stamps) {
  return seen(stamps.xmin) && (stamps.xmax == kNoXid || !seen(stamps.xmax));
}

Fate FileTransactions::fate(const Stamps& stamps, Xid* holder) {
  if (stamps.xmin != xid_) {
    if (table_.running(stamps.xmin)) {
      *holder = stamps.xmin;
      return Fate::kCreating;
    }
    if (!table_.committed(stamps.xmin)) return Fate::kAbsent;
  }
  if (stamps.xmax == kNoXid) return Fate::kLive;
  if (stamps.xmax == xid_) return Fate::kOwnDeleted;
  if (table_.running(stamps.xmax)) {
    *holder = stamps.xmax;
    return Fate::kBusy;
  }
  return table_.committed(stamps.xmax) ? Fate::kDeleted : Fate::kLive;
}

}  // namespace toaststore
