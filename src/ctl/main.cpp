// toaststorectl: a store without a server, on the command line.

#include <cstdio>
#include <cstring>
#include <new>

#include "ctl/command.h"
#include "ctl/stream.h"

namespace toaststore::ctl {

namespace {

constexpr char kVersion[] = "1.0";

constexpr char kAbout[] =
    "STORE is a directory of its own, which the first put or import makes. To read, it may also\n"
    "be the file of a server's store, while the server is stopped: base/DATABASE/FILENODE. Then\n"
    "get, ls, stat and export cannot know which transactions rolled back: they show every value\n"
    "that is not marked as deleted.\n"
    "\n"
    "Exit status: 0 done; 1 no such value or page, or faults found; 2 wrong usage; 3 failed.\n";

void print_command(const Command& command) {
  std::printf("  %s STORE%s%s\n      %s\n", command.name, *command.operands != '\0' ? " " : "",
              command.operands, command.help);
  for (const Option& option : command.options) {
    std::string text = option.letter != 0 ? std::string("-") + option.letter + ", " : "";
    text += std::string("--") + option.name;
    if (option.argument != nullptr) text += std::string(" ") + option.argument;
    std::printf("      %-21s %s\n", text.c_str(), option.help);
  }
}

void print_help() {
  std::puts("Usage: toaststorectl COMMAND STORE [ARGUMENT]...\n");
  for (const Command& command : commands()) print_command(command);
  std::puts("  --help\n      this, or behind a command the help of that");
  std::puts("  --version\n      the version\n");
  std::fputs(kAbout, stdout);
}

int run(int count, char** words) {
  if (count < 2) throw Failure(kUsage, "no command; see toaststorectl --help");
  const std::string name = words[1];
  if (name == "--help") {
    print_help();
    finish_printing();
    return kDone;
  }
  if (name == "--version") {
    std::printf("toaststorectl %s\n", kVersion);
    finish_printing();
    return kDone;
  }
  for (const Command& command : commands()) {
    if (name != command.name) continue;
    const Arguments arguments(command, count - 1, words + 1);
    if (!arguments.wants_help()) return command.run(arguments);
    std::puts("Usage:");
    print_command(command);
    finish_printing();
    return kDone;
  }
  throw Failure(kUsage, "no command '" + name + "'; see toaststorectl --help");
}

}  // namespace

const std::vector<Command>& commands() {
  static const Option id{"id", 0, "N", "under this id, for one file"};
  static const Option under{"name", 0, "NAME", "under this name, for one file; its old value goes"};
  static const Option name{"name", 0, "NAME", "the value of this name, instead of an ID"};
  static const Option compression{"compression", 0, "KIND",
                                  "none, lz4 (the default), zstd or zstd:1 to zstd:19"};
  static const Option output{"output", 'o', "FILE", "into this file, not the standard output"};
  static const Option offset{"offset", 0, "N", "from this byte, the first is 0"};
  static const Option length{"length", 0, "N", "at most so many bytes"};
  static const Option from{"from", 0, "N", "from this id"};
  static const Option to{"to", 0, "N", "up to the id before this one"};
  static const Option names{"names", 0, nullptr, "those with a name, in the order of names"};
  static const Option prefix{"prefix", 0, "PREFIX", "those with a name that starts so"};
  static const Option null{"null", '0', nullptr,
                           "end lines by a zero byte: names may hold anything"};
  static const Option json{"json", 0, nullptr, "as a JSON object"};
  static const Option of_names{"names", 0, nullptr, "of the file of names"};
  static const Option ids{"ids", 0, nullptr, "all values, as files named by their ids"};
  static const std::vector<Command> all = {
      {"put",
       "FILE...",
       1,
       kAnyNumber,
       "puts each file (- is the standard input) as a value; prints the ids; all or none",
       {id, under, compression},
       put},
      {"get",
       "[ID]",
       0,
       1,
       "writes a value to the standard output",
       {name, output, offset, length},
       get},
      {"ls", "", 0, 0, "lists values: id, bytes, name", {from, to, names, prefix, null}, list},
      {"rm", "[ID]...", 0, kAnyNumber, "removes values, all or none", {name}, remove},
      {"stat", "[ID]", 0, 1, "tells about the store, or about one value", {name, json}, stat},
      {"verify", "", 0, 0, "checks every page and value; prints what is wrong", {}, verify},
      {"page", "BLOCK|all", 1, 1, "shows pages as they are on disk", {of_names}, page},
      {"import",
       "DIR",
       1,
       1,
       "sets a value for each file below DIR, named by its path from there",
       {compression},
       import_files},
      {"export",
       "DIR",
       1,
       1,
       "writes each value that has a name into a file of that name below DIR",
       {ids},
       export_files},
      {"compact", "", 0, 0, "makes room of what was removed; prints how much", {}, compact},
      {"checkpoint",
       "",
       0,
       0,
       "recovers if need be, and writes all into the pages",
       {},
       checkpoint},
  };
  return all;
}

}  // namespace toaststore::ctl

int main(int count, char** words) {
  using namespace toaststore::ctl;
  try {
    return run(count, words);
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "toaststorectl: %s\n", failure.what());
    return failure.exit_code();
  } catch (const std::bad_alloc&) {
    std::fputs("toaststorectl: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "toaststorectl: %s\n", error.what());
  }
  return kFailed;
}
