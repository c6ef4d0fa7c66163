// How far long work is, for whoever watches a terminal.

#ifndef TOASTSTORE_CTL_PROGRESS_H_
#define TOASTSTORE_CTL_PROGRESS_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace toaststore::ctl {

// Shows a line on the standard error, if that is a terminal, and wipes it away at the end.
class Progress {
 public:
  // `done` and `total` are bytes; `done` is asked now and then, by a thread of its own.
  Progress(std::string label, uint64_t total, std::function<uint64_t()> done);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

 private:
  void run();
  void show();

  const std::string label_;
  const uint64_t total_;
  const std::function<uint64_t()> done_;
  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_PROGRESS_H_
