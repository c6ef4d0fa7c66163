// Stop points: toaststore.stop_at makes a backend fail, die or wait when it has done a named step,
// so that tests can crash it between any two steps of an operation, and reproduce races.
//
// 'STEP:ACTION' or 'STEP:ACTION:SKIP', where SKIP is how often the step passes first, and ACTION is
//   error            an error is raised
//   kill             the backend kills itself (SIGKILL)
//   kill_postmaster  it kills the postmaster, then itself
//   wait             it waits until it can have the advisory lock 8153, at a pause only

#include <csignal>
#include <cstdlib>

#include "postgres/host.h"

extern "C" {
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
}

namespace toaststore {

enum class StopAction : uint8_t { kError, kKill, kKillPostmaster, kWait };

// What the setting says, as its check hook read it.
struct StopPoint {
  Step step;
  StopAction action;
  int skip;
};

const StopPoint* armed_stop_point = nullptr;

namespace {

constexpr int64 kWaitLock = 8153;
constexpr const char* kActionNames[] = {"error", "kill", "kill_postmaster", "wait"};
constexpr int kActions = lengthof(kActionNames);

char* setting;
int left_to_skip;

int find_name(const char* const* names, int count, const char* name, size_t length) {
  for (int i = 0; i < count; i++) {
    if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) return i;
  }
  return -1;
}

bool parse(const char* text, StopPoint* stop) {
  const size_t step_length = strcspn(text, ":");
  const int step = find_name(kStepNames, kSteps, text, step_length);
  if (step < 0 || text[step_length] == '\0') return false;
  const char* action_text = text + step_length + 1;
  const size_t action_length = strcspn(action_text, ":");
  const int action = find_name(kActionNames, kActions, action_text, action_length);
  if (action < 0) return false;
  int skip = 0;
  if (action_text[action_length] != '\0') {
    char* end;
    const char* number = action_text + action_length + 1;
    const long value = strtol(number, &end, 10);
    if (end == number || *end != '\0' || value < 0 || value > PG_INT32_MAX) return false;
    skip = static_cast<int>(value);
  }
  *stop = {static_cast<Step>(step), static_cast<StopAction>(action), skip};
  return stop->action != StopAction::kWait || stop->step >= kFirstPause;
}

char* all_steps() {
  StringInfoData list;
  initStringInfo(&list);
  for (const char* name : kStepNames) {
    appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", name);
  }
  return list.data;
}

bool check_stop_at(char** value, void** extra, GucSource) {
  if (**value == '\0') return true;
  auto* stop = static_cast<StopPoint*>(malloc(sizeof(StopPoint)));
  if (stop == nullptr) return false;
  if (!parse(*value, stop)) {
    free(stop);
    GUC_check_errdetail(
        "It must be STEP:ACTION or STEP:ACTION:SKIP, where ACTION is error, kill, "
        "kill_postmaster or, at a pause, wait.");
    GUC_check_errhint("Steps are: %s.", all_steps());
    return false;
  }
  *extra = stop;
  return true;
}

void assign_stop_at(const char*, void* extra) {
  armed_stop_point = static_cast<const StopPoint*>(extra);
  left_to_skip = armed_stop_point != nullptr ? armed_stop_point->skip : 0;
}

void wait_for_lock() {
  DirectFunctionCall1(pg_advisory_lock_int8, Int64GetDatum(kWaitLock));
  DirectFunctionCall1(pg_advisory_unlock_int8, Int64GetDatum(kWaitLock));
}

}  // namespace

void reach_stop_point(Step step) {
  if (armed_stop_point->step != step || left_to_skip-- > 0) return;
  switch (armed_stop_point->action) {
    case StopAction::kError:
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("stopped at %s", name_of(step))));
      break;
    case StopAction::kKillPostmaster:
      if (PostmasterPid != 0) kill(PostmasterPid, SIGKILL);
      kill(MyProcPid, SIGKILL);
      break;
    case StopAction::kKill:
      kill(MyProcPid, SIGKILL);
      break;
    case StopAction::kWait:
      left_to_skip = PG_INT32_MAX;  // once
      wait_for_lock();
      break;
  }
}

void define_stop_at() {
  DefineCustomStringVariable(
      "toaststore.stop_at", "Step at which a backend fails, dies or waits, for tests.",
      "STEP:ACTION or STEP:ACTION:SKIP; ACTION is error, kill, kill_postmaster or wait.", &setting,
      "", PGC_SUSET, GUC_NOT_IN_SAMPLE, check_stop_at, assign_stop_at, nullptr);
}

}  // namespace toaststore
