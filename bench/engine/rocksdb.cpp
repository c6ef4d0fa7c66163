// RocksDB with BlobDB: values in blob files, under 8-byte keys.
//
// One cache holds blocks and values, and memtables are charged to it.  It has one shard: there is
// one thread, and a shard must have room for the largest value.

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <bit>
#include <chrono>
#include <cstring>
#include <thread>

#include "engine/contender.h"

namespace bench {

namespace {

void check(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) die(std::string("rocksdb: ") + what + ": " + status.ToString());
}

// Keys are ordered by their bytes.
struct Key {
  explicit Key(uint64_t id) : bytes(__builtin_bswap64(id)) {}
  rocksdb::Slice slice() const { return {reinterpret_cast<const char*>(&bytes), sizeof(bytes)}; }
  uint64_t bytes;
};
static_assert(std::endian::native == std::endian::little);

uint64_t id_of(const rocksdb::Slice& key) {
  uint64_t bytes;
  std::memcpy(&bytes, key.data(), sizeof(bytes));
  return __builtin_bswap64(bytes);
}

rocksdb::Options options_for(const Settings& settings) {
  const auto cache = rocksdb::NewLRUCache(settings.cache_bytes, 0);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  rocksdb::Options options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.create_if_missing = true;
  options.max_background_jobs = 2;
  options.write_buffer_size = settings.log_bytes;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(2 * settings.log_bytes, cache);
  options.compression = rocksdb::kNoCompression;  // of keys
  options.enable_blob_files = true;
  options.min_blob_size = 0;
  options.blob_cache = cache;
  options.blob_compression_type =
      settings.compressible ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.enable_blob_garbage_collection = true;
  return options;
}

class RocksDb final : public Contender {
 public:
  explicit RocksDb(const Settings& settings) {
    rocksdb::DB* db;
    check(rocksdb::DB::Open(options_for(settings), settings.directory, &db), "open");
    db_.reset(db);
    durable_.sync = true;
    const std::unique_ptr<rocksdb::Iterator> last(db_->NewIterator({}));
    last->SeekToLast();
    if (last->Valid()) last_id_ = id_of(last->key());
  }

  uint64_t put(std::string_view bytes) override {
    const uint64_t id = ++last_id_;
    check(batch_.Put(Key(id).slice(), {bytes.data(), bytes.size()}), "put");
    return id;
  }

  void erase(uint64_t id) override { check(batch_.Delete(Key(id).slice()), "erase"); }

  void commit() override {
    check(db_->Write(durable_, &batch_), "commit");
    batch_.Clear();
  }

  std::string_view get(uint64_t id) override { return slice(id, 0, SIZE_MAX); }

  // There is no read of a part: the value is found, pinned in the cache, and copied from.
  std::string_view slice(uint64_t id, size_t offset, size_t length) override {
    rocksdb::PinnableSlice value;
    check(db_->Get({}, db_->DefaultColumnFamily(), Key(id).slice(), &value), "get");
    return copy_.assign(std::string_view(value.data(), value.size()).substr(offset, length));
  }

  void scan(const Visit& visit) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      copy_.assign(at->value().data(), at->value().size());
      visit(id_of(at->key()), copy_);
    }
    check(at->status(), "scan");
  }

  void settle() override {
    check(db_->Flush({}), "flush");
    while (busy("rocksdb.num-running-compactions") || busy("rocksdb.compaction-pending") ||
           busy("rocksdb.num-running-flushes") || busy("rocksdb.mem-table-flush-pending")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  bool busy(const char* property) const {
    uint64_t value = 0;
    return db_->GetIntProperty(property, &value) && value != 0;
  }

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteBatch batch_;
  rocksdb::WriteOptions durable_;
  std::string copy_;
  uint64_t last_id_ = 0;
};

}  // namespace

std::unique_ptr<Contender> open_rocksdb(const Settings& settings) {
  return std::make_unique<RocksDb>(settings);
}

}  // namespace bench
