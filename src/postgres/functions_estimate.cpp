// toaststore.estimate: what a table's long values would take in a store, told from a sample.

#include <cmath>

#include "engine/chunk_table.h"
#include "engine/codec.h"
#include "postgres/host.h"
#include "postgres/sql.h"

extern "C" {
#include "executor/spi.h"
#include "utils/portal.h"
}

namespace {

using toaststore::Compression;
using toaststore::Options;

// Rows taken from the sample at once.
constexpr long kBatch = 100;
// What a value takes besides its bytes (docs/operations.md, Limits): its entry and the record of
// its put, and a header for each piece.
constexpr uint64 kBytesPerValue = 64 + 16;
constexpr uint64 kBytesPerPiece = 44;
constexpr uint64 kPieceBytes = 8120;

struct Sample {
  uint64 rows = 0;
  uint64 values = 0;
  uint64 raw_bytes = 0;
  uint64 store_bytes = 0;
};

uint64 compressed_bytes(const Compression& compression, const std::byte* bytes, size_t length,
                        std::byte* buffer) {
  size_t stored = 0;
  toaststore::compress(compression, bytes, length, buffer, &stored);
  return stored == 0 ? length : stored;
}

// The bytes that the engine would store: of a chunked value each chunk by itself
// (value_writer.cpp).
uint64 stored_bytes(const Options& options, const std::byte* bytes, uint64 length) {
  if (length <= options.extent_max) {
    auto* buffer = static_cast<std::byte*>(palloc(toaststore::compress_space(length)));
    return compressed_bytes(options.compression, bytes, length, buffer);
  }
  auto* buffer = static_cast<std::byte*>(palloc(toaststore::compress_space(options.chunk_bytes)));
  uint64 stored =
      toaststore::chunk_count(length, options.chunk_bytes) * sizeof(toaststore::ChunkRef);
  for (uint64 done = 0; done < length; done += options.chunk_bytes) {
    CHECK_FOR_INTERRUPTS();
    const uint64 part = Min(uint64{options.chunk_bytes}, length - done);
    stored += compressed_bytes(options.compression, bytes + done, part, buffer);
  }
  return stored;
}

// A value that lies outside of its row.
void add_value(Sample* sample, Options options, varlena* pointer, char storage) {
  const varlena* value = detoast_attr(pointer);
  const uint64 length = VARSIZE_ANY_EXHDR(value);
  if (storage == TYPSTORAGE_EXTERNAL) options.compression.codec = toaststore::Codec::kNone;
  const uint64 stored =
      stored_bytes(options, reinterpret_cast<const std::byte*>(VARDATA_ANY(value)), length);
  sample->values++;
  sample->raw_bytes += length;
  sample->store_bytes += stored + kBytesPerValue + (stored / kPieceBytes + 1) * kBytesPerPiece;
}

// The columns of a row as the table declares them: the answer to a query says nothing of STORAGE.
void add_row(Sample* sample, const Options& options, HeapTuple row, TupleDesc columns,
             TupleDesc declared) {
  sample->rows++;
  int column = 0;
  for (int i = 0; i < declared->natts; i++) {
    const FormData_pg_attribute* attribute = TupleDescAttr(declared, i);
    if (attribute->attisdropped) continue;
    column++;
    if (attribute->attlen != -1) continue;
    bool is_null;
    const Datum datum = heap_getattr(row, column, columns, &is_null);
    if (is_null || !VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(datum))) continue;
    add_value(sample, options, reinterpret_cast<varlena*>(DatumGetPointer(datum)),
              attribute->attstorage);
  }
}

// How a table is sampled: single rows where its pages are soon read, for rows near to each other
// tell less; whole pages of a larger table.
constexpr BlockNumber kSoonRead = 10000;

struct Sampling {
  const char* method;
  double percent;
};

Sampling sampling_of(Relation table, int32 sample_rows) {
  BlockNumber pages;
  double rows;
  double all_visible;
  table_relation_estimate_size(table, nullptr, &pages, &rows, &all_visible);
  const BlockNumber blocks = RelationGetNumberOfBlocks(table);
  // Core takes a table that was never vacuumed to have ten pages at least.
  if (pages > blocks) rows *= static_cast<double>(blocks) / pages;
  return {blocks > kSoonRead ? "system" : "bernoulli",
          rows > sample_rows ? 100.0 * sample_rows / rows : 100.0};
}

Sample take_sample(Relation table, const Options& options, const Sampling& sampling) {
  Sample sample;
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  Oid types[1] = {FLOAT8OID};
  Datum arguments[1] = {Float8GetDatum(sampling.percent)};
  Portal portal = SPI_cursor_open_with_args(
      nullptr,
      psprintf("SELECT * FROM ONLY %s TABLESAMPLE pg_catalog.%s ($1) REPEATABLE (0)",
               toaststore::quoted_name(table), sampling.method),
      1, types, arguments, nullptr, true, CURSOR_OPT_NO_SCROLL);
  MemoryContext values =
      AllocSetContextCreate(CurrentMemoryContext, "sampled values", ALLOCSET_DEFAULT_SIZES);
  do {
    SPI_cursor_fetch(portal, true, kBatch);
    for (uint64 i = 0; i < SPI_processed; i++) {
      MemoryContext outer = MemoryContextSwitchTo(values);
      add_row(&sample, options, SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
              RelationGetDescr(table));
      MemoryContextSwitchTo(outer);
      MemoryContextReset(values);
    }
    SPI_freetuptable(SPI_tuptable);
  } while (SPI_processed > 0);
  SPI_cursor_close(portal);
  SPI_finish();
  return sample;
}

// What the table's long values take now: its TOAST table with index and maps, dead rows included.
int64 toast_bytes(Oid toast) {
  if (!OidIsValid(toast)) return 0;
  return DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(toast)));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(toaststore_estimate);

// estimate(table regclass, sample_rows int, compression text) -> one row.
Datum toaststore_estimate(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  const int32 sample_rows = PG_GETARG_INT32(1);
  if (sample_rows < 1) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("sample_rows must be at least 1")));
  }
  Options options;
  options.compression = toaststore::require_compression(text_to_cstring(PG_GETARG_TEXT_PP(2)));
  Relation table = try_table_open(PG_GETARG_OID(0), AccessShareLock);
  if (table == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("relation with OID %u does not exist", PG_GETARG_OID(0))));
  }
  const char kind = table->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE),
             errmsg("\"%s\" is not a table with rows of its own", RelationGetRelationName(table)),
             errhint("Of a partitioned table, ask for each partition.")));
  }
  const Sampling sampling = sampling_of(table, sample_rows);
  const Oid toast = table->rd_rel->reltoastrelid;
  const Sample sample = take_sample(table, options, sampling);
  table_close(table, NoLock);

  const auto scaled = [&sampling](uint64 n) {
    return static_cast<int64>(std::llround(static_cast<double>(n) * 100 / sampling.percent));
  };
  const int64 now = toast_bytes(toast);
  const int64 then = scaled(sample.store_bytes);
  Datum columns[6] = {Int64GetDatum(static_cast<int64>(sample.rows)),
                      Int64GetDatum(scaled(sample.values)),
                      Int64GetDatum(scaled(sample.raw_bytes)),
                      Int64GetDatum(now),
                      Int64GetDatum(then),
                      Int64GetDatum(now - then)};
  bool nulls[6] = {};
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  tuplestore_putvalues(result->setResult, result->setDesc, columns, nulls);
  return 0;
}
}
