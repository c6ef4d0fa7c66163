// Opening after a crash: a process loads a store, goes on with single puts, and is killed.
//
// What it has acknowledged it tells through a pipe; all of that must be there afterwards.  Stores
// are opened in child processes only: one that has threads must not fork.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>

#include "engine/cell.h"

namespace bench {

namespace {

// Transactions after the load, before the end.
constexpr size_t kPutsBeforeDeath = 100;

void tell(int pipe, uint64_t id) {
  if (write(pipe, &id, sizeof(id)) != sizeof(id)) _exit(1);
}

[[noreturn]] void put_until_killed(const Kind& kind, const Settings& settings, const Plan& plan,
                                   const Source& source, int pipe) {
  const std::unique_ptr<Contender> store = kind.open(settings);
  std::vector<uint64_t> ids;
  size_t gathered = 0;
  for (size_t i = 0;; i++) {
    ids.push_back(store->put(source.value(i)));
    gathered += plan.value_bytes;
    if (i < plan.values() && gathered < kLoadBytes) continue;
    store->commit();
    for (const uint64_t id : ids) tell(pipe, id);
    ids.clear();
    gathered = 0;
  }
}

// The ids that were acknowledged, in the order of the source.
std::vector<uint64_t> run_and_kill(const Kind& kind, const Settings& settings, const Plan& plan,
                                   const Source& source) {
  int ends[2];
  if (pipe(ends) != 0) die("no pipe");
  const pid_t child = fork();
  if (child < 0) die("no process");
  if (child == 0) {
    close(ends[0]);
    put_until_killed(kind, settings, plan, source, ends[1]);
  }
  close(ends[1]);
  std::vector<uint64_t> ids;
  uint64_t id;
  while (read(ends[0], &id, sizeof(id)) == sizeof(id)) {
    ids.push_back(id);
    if (ids.size() == plan.values() + kPutsBeforeDeath) kill(child, SIGKILL);
  }
  close(ends[0]);
  int status;
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) die("a process ended before its time");
  return ids;
}

// Times the opening, and proves that nothing is missing.
[[noreturn]] void open_and_prove(const Kind& kind, const Settings& settings, const Plan& plan,
                                 const Source& source, const std::vector<uint64_t>& ids,
                                 int round) {
  const auto start = std::chrono::steady_clock::now();
  const std::unique_ptr<Contender> store = kind.open(settings);
  compare(kind.name, store->get(ids[0]), source.value(0));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  print_result(plan, "open_after_kill", kind.name, round, seconds.count(), "s");
  for (size_t i = 0; i < ids.size(); i++) {
    compare(kind.name, store->get(ids[i]), source.value(i));
  }
  _exit(0);
}

void crash_and_open(const Kind& kind, const Plan& plan, const Source& source, int round) {
  const std::string directory = plan.directory + "/" + kind.name;
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const Settings settings{directory, plan.cache_bytes, plan.log_bytes, plan.compressible};
  const std::vector<uint64_t> ids = run_and_kill(kind, settings, plan, source);
  const pid_t child = fork();
  if (child < 0) die("no process");
  if (child == 0) open_and_prove(kind, settings, plan, source, ids, round);
  int status;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("a store did not open as it should");
  std::filesystem::remove_all(directory);
}

}  // namespace

void measure_crashes(const Plan& plan) {
  const Source source(plan.compressible, plan.value_bytes);
  const std::vector<Kind> kinds = contenders(plan);
  for (int round = 0; round < plan.rounds; round++) {
    for (size_t i = 0; i < kinds.size(); i++) {
      crash_and_open(kinds[(i + static_cast<size_t>(round)) % kinds.size()], plan, source, round);
    }
  }
}

}  // namespace bench
