// What the commands of toaststorectl share: their table, their arguments, and how they fail.
//
// A command that cannot go on throws a Failure, which main() prints; nothing is thrown through the
// engine, so what it calls back returns a Status.

#ifndef TOASTSTORE_CTL_COMMAND_H_
#define TOASTSTORE_CTL_COMMAND_H_

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "toaststore/status.h"

namespace toaststore::ctl {

// What the program exits with, as the manual says.
inline constexpr int kDone = 0;
inline constexpr int kNotFound = 1;  // no such value or page, or faults
inline constexpr int kUsage = 2;
inline constexpr int kFailed = 3;

class Failure : public std::runtime_error {
 public:
  Failure(int exit_code, const std::string& message)
      : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// Throws unless ok.  `subject` is what the status is about: a store, a file, a value.
void expect(const Status& status, const std::string& subject);
// The same, where a missing value or page is an answer.
void expect_found(const Status& status, const std::string& subject);
// A failure of the operating system, by errno.
[[noreturn]] void fail_system(const std::string& subject);

struct Option {
  const char* name;
  char letter;           // 0: none
  const char* argument;  // null: it takes none
  const char* help;
};

struct Command;

// What stands behind the command's name.
class Arguments {
 public:
  // Throws where the command has no such option, or other operands.
  Arguments(const Command& command, int count, char** words);

  const std::string& store() const { return operands_[0]; }
  // The operands behind the store.
  const std::vector<std::string>& rest() const { return rest_; }
  bool has(const char* option) const { return value(option) != nullptr; }
  // The option's argument, empty where it takes none; null where it is not given.
  const std::string* value(const char* option) const;
  // The option's argument as a number.
  uint64_t number(const char* option, uint64_t otherwise) const;
  bool wants_help() const { return help_; }

 private:
  struct Given {
    std::string name;
    std::string value;
  };

  std::vector<std::string> operands_;
  std::vector<std::string> rest_;
  std::vector<Given> given_;
  bool help_ = false;
};

struct Command {
  const char* name;
  const char* operands;  // behind the store, as the usage line shows them
  size_t least;          // of them
  size_t most;
  const char* help;
  std::vector<Option> options;
  int (*run)(const Arguments& arguments);
};

inline constexpr size_t kAnyNumber = SIZE_MAX;

// Every command, in the order of the help.
const std::vector<Command>& commands();

// A decimal number, or a failure that calls it `what`.
uint64_t parse_number(const std::string& text, const std::string& what);

int put(const Arguments& arguments);
int get(const Arguments& arguments);
int remove(const Arguments& arguments);
int list(const Arguments& arguments);
int stat(const Arguments& arguments);
int verify(const Arguments& arguments);
int page(const Arguments& arguments);
int compact(const Arguments& arguments);
int checkpoint(const Arguments& arguments);
int import_files(const Arguments& arguments);
int export_files(const Arguments& arguments);

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_COMMAND_H_
