// docs/format.md says where every byte is.  The document drifts from the code the day somebody
// changes a struct and forgets it: its tables are compared with the structs themselves.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "engine/chunk_table.h"
#include "engine/format.h"

namespace toaststore {
namespace {

struct Field {
  size_t offset;
  size_t size;
};
struct StructLayout {
  size_t bytes;
  std::map<std::string, Field> fields;
};

#define FIELD(type, name)                               \
  {                                                     \
#name, { offsetof(type, name), sizeof(type::name) } \
  }

const std::map<std::string, StructLayout>& structs() {
  static const std::map<std::string, StructLayout> all = {
      {"PageHeader",
       {sizeof(PageHeader),
        {FIELD(PageHeader, lsn), FIELD(PageHeader, checksum), FIELD(PageHeader, flags),
         FIELD(PageHeader, lower), FIELD(PageHeader, upper), FIELD(PageHeader, special),
         FIELD(PageHeader, size_version), FIELD(PageHeader, prune_xid)}}},
      {"TailStart",
       {sizeof(TailStart),
        {FIELD(TailStart, kind), FIELD(TailStart, version), FIELD(TailStart, level),
         FIELD(TailStart, block)}}},
      {"PlainTail",
       {sizeof(PlainTail),
        {FIELD(PlainTail, start), FIELD(PlainTail, index), FIELD(PlainTail, check)}}},
      {"MetaBody", {sizeof(MetaBody), {FIELD(MetaBody, magic),
                                       FIELD(MetaBody, format_version),
                                       FIELD(MetaBody, kind),
                                       FIELD(MetaBody, root_level),
                                       FIELD(MetaBody, direct_max),
                                       FIELD(MetaBody, extent_max),
                                       FIELD(MetaBody, chunk_bytes),
                                       FIELD(MetaBody, root),
                                       FIELD(MetaBody, next_id),
                                       FIELD(MetaBody, map_pages),
                                       FIELD(MetaBody, map_hint),
                                       FIELD(MetaBody, page_extent),
                                       FIELD(MetaBody, dead_head),
                                       FIELD(MetaBody, dead_tail),
                                       FIELD(MetaBody, codec),
                                       FIELD(MetaBody, level),
                                       FIELD(MetaBody, settled),
                                       FIELD(MetaBody, compacted_at),
                                       FIELD(MetaBody, checkpointed_at),
                                       FIELD(MetaBody, lanes)}}},
      {"Tally",
       {sizeof(Tally),
        {FIELD(Tally, values), FIELD(Tally, raw_bytes), FIELD(Tally, stored_bytes)}}},
      {"Lane",
       {sizeof(Lane),
        {FIELD(Lane, run_start), FIELD(Lane, run_end), FIELD(Lane, id_start), FIELD(Lane, id_end),
         FIELD(Lane, journal_head), FIELD(Lane, journal_tail)}}},
      {"TreeTail",
       {sizeof(TreeTail),
        {FIELD(TreeTail, start), FIELD(TreeTail, low), FIELD(TreeTail, high),
         FIELD(TreeTail, right), FIELD(TreeTail, count), FIELD(TreeTail, flags),
         FIELD(TreeTail, check)}}},
      {"Entry",
       {sizeof(Entry),
        {FIELD(Entry, id), FIELD(Entry, xmin), FIELD(Entry, xmax), FIELD(Entry, cmin),
         FIELD(Entry, cmax), FIELD(Entry, raw_bytes), FIELD(Entry, stored_bytes),
         FIELD(Entry, block), FIELD(Entry, item), FIELD(Entry, layout), FIELD(Entry, codec),
         FIELD(Entry, crc), FIELD(Entry, pages), FIELD(Entry, first_bytes), FIELD(Entry, check)}}},
      {"Child", {sizeof(Child), {FIELD(Child, key), FIELD(Child, child), FIELD(Child, check)}}},
      {"MapEntry",
       {sizeof(MapEntry),
        {FIELD(MapEntry, kind),
         FIELD(MapEntry, lane),
         FIELD(MapEntry, stored_bytes),
         {"values or pages", {offsetof(MapEntry, values), sizeof(MapEntry::values)}},
         FIELD(MapEntry, check)}}},
      {"ChainTail",
       {sizeof(ChainTail),
        {FIELD(ChainTail, start), FIELD(ChainTail, next_id), FIELD(ChainTail, position),
         FIELD(ChainTail, min_xid), FIELD(ChainTail, next), FIELD(ChainTail, count),
         FIELD(ChainTail, consumed), FIELD(ChainTail, records_crc), FIELD(ChainTail, check)}}},
      {"JournalRecord",
       {sizeof(JournalRecord),
        {FIELD(JournalRecord, id), FIELD(JournalRecord, xid), FIELD(JournalRecord, action)}}},
      {"DeadRecord",
       {sizeof(DeadRecord),
        {FIELD(DeadRecord, id), FIELD(DeadRecord, bytes), FIELD(DeadRecord, block),
         FIELD(DeadRecord, sequence), FIELD(DeadRecord, item), FIELD(DeadRecord, first_bytes),
         FIELD(DeadRecord, layout)}}},
      {"ChunkRef",
       {sizeof(ChunkRef),
        {FIELD(ChunkRef, block), FIELD(ChunkRef, sequence), FIELD(ChunkRef, stored_bytes),
         FIELD(ChunkRef, crc), FIELD(ChunkRef, item), FIELD(ChunkRef, first_bytes),
         FIELD(ChunkRef, codec), FIELD(ChunkRef, check)}}},
  };
  return all;
}

#undef FIELD

struct Row {
  size_t offset;
  size_t size;
  std::string field;
};
struct Table {
  size_t bytes;
  std::vector<Row> rows;
};

std::map<std::string, Table> documented() {
  std::ifstream file("docs/format.md");
  EXPECT_TRUE(file.is_open()) << "run from the project's root";
  const std::regex heading(R"(### (\w+): (\d+) bytes)");
  const std::regex row(R"(\| (\d+) \| (\d+) \| ([^|]+) \|.*)");
  std::map<std::string, Table> tables;
  std::string line;
  Table* table = nullptr;
  std::smatch match;
  while (std::getline(file, line)) {
    if (std::regex_match(line, match, heading)) {
      table = &tables[match[1]];
      table->bytes = std::stoul(match[2]);
    } else if (line.rfind("#", 0) == 0) {
      table = nullptr;
    } else if (table != nullptr && std::regex_match(line, match, row)) {
      table->rows.push_back({std::stoul(match[1]), std::stoul(match[2]), match[3]});
    }
  }
  return tables;
}

TEST(FormatDocument, EveryStructHasATableThatCoversEachOfItsBytesOnce) {
  const auto tables = documented();
  for (const auto& [name, layout] : structs()) {
    const auto found = tables.find(name);
    ASSERT_NE(found, tables.end()) << name << " has no table";
    EXPECT_EQ(found->second.bytes, layout.bytes) << name;
    size_t end = 0;
    for (const Row& row : found->second.rows) {
      EXPECT_EQ(row.offset, end) << name << "." << row.field;
      end = row.offset + row.size;
    }
    EXPECT_EQ(end, layout.bytes) << name;
  }
  EXPECT_EQ(tables.size(), structs().size());
}

TEST(FormatDocument, EveryFieldIsWhereItsTableSays) {
  const auto tables = documented();
  for (const auto& [name, layout] : structs()) {
    size_t named = 0;
    for (const Row& row : tables.at(name).rows) {
      if (row.field == "zero") continue;
      const auto field = layout.fields.find(row.field);
      ASSERT_NE(field, layout.fields.end()) << name << "." << row.field;
      EXPECT_EQ(row.offset, field->second.offset) << name << "." << row.field;
      EXPECT_EQ(row.size, field->second.size) << name << "." << row.field;
      named++;
    }
    EXPECT_EQ(named, layout.fields.size()) << name << " has fields that are not documented";
  }
}

}  // namespace
}  // namespace toaststore
