// Options and operands, by getopt_long and the command's own table.

#include <getopt.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "ctl/command.h"
#include "toaststore/store.h"

namespace toaststore::ctl {

namespace {

// What getopt_long() returns for the option at this place of the table.
constexpr int kFirstOption = 256;
constexpr int kHelp = 255;

[[noreturn]] void fail_usage(const Command& command, const std::string& message) {
  throw Failure(kUsage, std::string(command.name) + ": " + message + "; see toaststorectl " +
                            command.name + " --help");
}

}  // namespace

Arguments::Arguments(const Command& command, int count, char** words) {
  std::string letters = ":";
  std::vector<option> known;
  for (const Option& one : command.options) {
    const int takes = one.argument != nullptr ? required_argument : no_argument;
    known.push_back({one.name, takes, nullptr, kFirstOption + static_cast<int>(known.size())});
    if (one.letter == 0) continue;
    letters += one.letter;
    if (takes == required_argument) letters += ':';
  }
  known.push_back({"help", no_argument, nullptr, kHelp});
  known.push_back({});

  optind = 1;
  for (int found;
       (found = getopt_long(count, words, letters.c_str(), known.data(), nullptr)) != -1;) {
    if (found == kHelp) {
      help_ = true;
      return;
    }
    if (found == '?') fail_usage(command, std::string("no option ") + words[optind - 1]);
    if (found == ':') fail_usage(command, std::string(words[optind - 1]) + " takes an argument");
    for (size_t i = 0; i < command.options.size(); i++) {
      const Option& one = command.options[i];
      const bool this_one =
          found >= kFirstOption ? found == kFirstOption + static_cast<int>(i) : found == one.letter;
      if (this_one) given_.push_back({one.name, optarg != nullptr ? optarg : ""});
    }
  }
  operands_.assign(words + optind, words + count);
  if (operands_.empty()) fail_usage(command, "no store is named");
  rest_.assign(operands_.begin() + 1, operands_.end());
  if (rest_.size() < command.least) {
    fail_usage(command, std::string("missing ") + command.operands);
  }
  if (rest_.size() > command.most) {
    fail_usage(command, "there is no place for '" + rest_[command.most] + "'");
  }
}

// The last one counts.
const std::string* Arguments::value(const char* option) const {
  const std::string* value = nullptr;
  for (const Given& given : given_) {
    if (given.name == option) value = &given.value;
  }
  return value;
}

uint64_t Arguments::number(const char* option, uint64_t otherwise) const {
  const std::string* text = value(option);
  return text == nullptr ? otherwise : parse_number(*text, std::string("--") + option);
}

uint64_t parse_number(const std::string& text, const std::string& what) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) {
    throw Failure(kUsage, what + " must be a number, not '" + text + "'");
  }
  return number;
}

namespace {

void expect_or(int exit_code, const Status& status, const std::string& subject) {
  if (status.ok()) return;
  char text[512];
  throw Failure(exit_code, subject + ": " + describe(status, text, sizeof(text)));
}

}  // namespace

void expect(const Status& status, const std::string& subject) {
  expect_or(kFailed, status, subject);
}

void expect_found(const Status& status, const std::string& subject) {
  expect_or(status.is(Code::kNotFound) ? kNotFound : kFailed, status, subject);
}

void fail_system(const std::string& subject) {
  throw Failure(kFailed, subject + ": " + std::strerror(errno));
}

}  // namespace toaststore::ctl
