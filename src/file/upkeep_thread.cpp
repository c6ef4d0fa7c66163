// Starting, repeating and stopping.

#include "file/upkeep_thread.h"

#include <utility>

namespace toaststore {

Status UpkeepThread::start(std::chrono::milliseconds pause, std::function<Status()> work) {
  pause_ = pause;
  work_ = std::move(work);
  const int error = pthread_create(&thread_, nullptr, run, this);
  if (error != 0) return Status::System(Code::kNoMemory, "could not start a thread", error);
  started_ = true;
  return Status::Ok();
}

void UpkeepThread::stop() {
  if (!started_) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wakes_.notify_all();
  pthread_join(thread_, nullptr);
  started_ = false;
}

Status UpkeepThread::last() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return last_;
}

void* UpkeepThread::run(void* thread) {
  static_cast<UpkeepThread*>(thread)->loop();
  return nullptr;
}

void UpkeepThread::loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wakes_.wait_for(lock, pause_, [this] { return stop_; })) {
    lock.unlock();
    const Status status = work_();
    lock.lock();
    last_ = status;
  }
}

}  // namespace toaststore
