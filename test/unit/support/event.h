// Something that happens once, and those who wait for it.

#ifndef TOASTSTORE_TEST_UNIT_SUPPORT_EVENT_H_
#define TOASTSTORE_TEST_UNIT_SUPPORT_EVENT_H_

#include <condition_variable>
#include <mutex>

namespace toaststore::test {

class Event {
 public:
  void set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return happened_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

}  // namespace toaststore::test

#endif  // TOASTSTORE_TEST_UNIT_SUPPORT_EVENT_H_
