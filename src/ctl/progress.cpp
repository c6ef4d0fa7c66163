// A line that is written over itself twice a second.

#include "ctl/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace toaststore::ctl {

namespace {

constexpr auto kPause = std::chrono::milliseconds(500);
constexpr uint64_t kMegabyte = 1024 * 1024;

}  // namespace

Progress::Progress(std::string label, uint64_t total, std::function<uint64_t()> done)
    : label_(std::move(label)), total_(total), done_(std::move(done)) {
  if (isatty(STDERR_FILENO) != 0) thread_ = std::thread([this] { run(); });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  ends_.notify_all();
  thread_.join();
  std::fputs("\r\033[K", stderr);
}

void Progress::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  do {
    show();
    ends_.wait_for(lock, kPause);
  } while (!ended_);
}

// What is done is an estimate: it may pass the total.
void Progress::show() {
  const uint64_t done = std::min(done_(), total_);
  const uint64_t percent = total_ == 0 ? 0 : done * 100 / total_;
  std::fprintf(stderr, "\r\033[K%s: %llu%% of %llu MB", label_.c_str(),
               static_cast<unsigned long long>(percent),
               static_cast<unsigned long long>((total_ + kMegabyte - 1) / kMegabyte));
  std::fflush(stderr);
}

}  // namespace toaststore::ctl
