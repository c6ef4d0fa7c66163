// A thread that does one thing again and again, until it is told to stop.

#ifndef TOASTSTORE_FILE_UPKEEP_THREAD_H_
#define TOASTSTORE_FILE_UPKEEP_THREAD_H_

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "toaststore/status.h"

namespace toaststore {

class UpkeepThread {
 public:
  UpkeepThread() = default;
  UpkeepThread(const UpkeepThread&) = delete;
  UpkeepThread& operator=(const UpkeepThread&) = delete;
  ~UpkeepThread() { stop(); }

  // Does `work` after each pause.  What it returns is told by last() until the next time.
  Status start(std::chrono::milliseconds pause, std::function<Status()> work);
  // Waits until the work in hand is done.  Does nothing where none was started.
  void stop();
  Status last();

 private:
  static void* run(void* thread);
  void loop();

  std::chrono::milliseconds pause_{};
  std::function<Status()> work_;
  pthread_t thread_{};
  bool started_ = false;
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool stop_ = false;
  Status last_;
};

}  // namespace toaststore

#endif  // TOASTSTORE_FILE_UPKEEP_THREAD_H_
