// LMDB: values under 8-byte integer keys, and the same with LZ4 in the hands of the application.
//
// LMDB maps its file: it has no cache of its own that could be limited, no log and no checksums.
// Its defaults sync at each commit.  Keys grow, so they are appended, which is its fastest way.

#include <lmdb.h>
#include <lz4.h>

#include <cstring>

#include "engine/contender.h"

namespace bench {

namespace {

constexpr size_t kMapBytes = size_t{64} << 30;

void check(int error, const char* what) {
  if (error != 0) die(std::string("lmdb: ") + what + ": " + mdb_strerror(error));
}

MDB_val key_of(uint64_t* id) { return {sizeof(*id), id}; }

std::string_view view_of(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

class Lmdb : public Contender {
 public:
  explicit Lmdb(const Settings& settings) {
    check(mdb_env_create(&environment_), "create");
    check(mdb_env_set_mapsize(environment_, kMapBytes), "map size");
    check(mdb_env_open(environment_, settings.directory.c_str(), MDB_NOTLS | MDB_NORDAHEAD, 0600),
          "open");
    begin();
    check(mdb_dbi_open(changes_, nullptr, MDB_INTEGERKEY | MDB_CREATE, &database_), "database");
    find_last();
    commit();
    check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &reader_), "begin reading");
    mdb_txn_reset(reader_);
  }
  ~Lmdb() override {
    mdb_txn_abort(reader_);
    if (changes_ != nullptr) mdb_txn_abort(changes_);
    mdb_env_close(environment_);
  }

  uint64_t put(std::string_view bytes) override {
    begin();
    uint64_t id = ++last_id_;
    MDB_val key = key_of(&id);
    MDB_val value{bytes.size(), const_cast<char*>(bytes.data())};
    check(mdb_put(changes_, database_, &key, &value, MDB_APPEND), "put");
    return id;
  }

  void erase(uint64_t id) override {
    begin();
    MDB_val key = key_of(&id);
    check(mdb_del(changes_, database_, &key, nullptr), "erase");
  }

  void commit() override {
    if (changes_ == nullptr) return;
    check(mdb_txn_commit(changes_), "commit");
    changes_ = nullptr;
  }

  std::string_view get(uint64_t id) override { return slice(id, 0, SIZE_MAX); }

  std::string_view slice(uint64_t id, size_t offset, size_t length) override {
    check(mdb_txn_renew(reader_), "renew");
    MDB_val key = key_of(&id);
    MDB_val value;
    check(mdb_get(reader_, database_, &key, &value), "get");
    const std::string_view bytes = unpack(view_of(value), offset, length);
    mdb_txn_reset(reader_);
    return bytes;
  }

  void scan(const Visit& visit) override {
    check(mdb_txn_renew(reader_), "renew");
    MDB_cursor* cursor;
    check(mdb_cursor_open(reader_, database_, &cursor), "cursor");
    MDB_val key;
    MDB_val value;
    int result;
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
      uint64_t id;
      std::memcpy(&id, key.mv_data, sizeof(id));
      visit(id, unpack(view_of(value), 0, SIZE_MAX));
    }
    if (result != MDB_NOTFOUND) check(result, "scan");
    mdb_cursor_close(cursor);
    mdb_txn_reset(reader_);
  }

  void settle() override {}

 protected:
  // Copies a part of what is stored out of the map.
  virtual std::string_view unpack(std::string_view stored, size_t offset, size_t length) {
    return copy_.assign(stored.substr(offset, length));
  }

  std::string copy_;

 private:
  void begin() {
    if (changes_ == nullptr) check(mdb_txn_begin(environment_, nullptr, 0, &changes_), "begin");
  }

  void find_last() {
    MDB_cursor* cursor;
    check(mdb_cursor_open(changes_, database_, &cursor), "cursor");
    MDB_val key;
    MDB_val value;
    const int result = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (result == 0) std::memcpy(&last_id_, key.mv_data, sizeof(last_id_));
    if (result != MDB_NOTFOUND) check(result, "last");
    mdb_cursor_close(cursor);
  }

  MDB_env* environment_ = nullptr;
  MDB_dbi database_ = 0;
  MDB_txn* changes_ = nullptr;
  MDB_txn* reader_ = nullptr;
  uint64_t last_id_ = 0;
};

// A value is its length and one block of LZ4, of which a slice decompresses what comes before it.
class LmdbLz4 final : public Lmdb {
 public:
  using Lmdb::Lmdb;

  uint64_t put(std::string_view bytes) override {
    const uint64_t raw = bytes.size();
    packed_.resize(sizeof(raw) + static_cast<size_t>(LZ4_compressBound(static_cast<int>(raw))));
    std::memcpy(packed_.data(), &raw, sizeof(raw));
    const int length =
        LZ4_compress_default(bytes.data(), packed_.data() + sizeof(raw), static_cast<int>(raw),
                             static_cast<int>(packed_.size() - sizeof(raw)));
    if (length <= 0) die("lmdb+lz4: compression failed");
    return Lmdb::put({packed_.data(), sizeof(raw) + static_cast<size_t>(length)});
  }

 protected:
  std::string_view unpack(std::string_view stored, size_t offset, size_t length) override {
    uint64_t raw;
    std::memcpy(&raw, stored.data(), sizeof(raw));
    offset = std::min<size_t>(offset, raw);
    length = std::min<size_t>(length, raw - offset);
    if (raw_.size() < raw) raw_.resize(raw);
    const int wanted = static_cast<int>(offset + length);
    const int written = LZ4_decompress_safe_partial(stored.data() + sizeof(raw), raw_.data(),
                                                    static_cast<int>(stored.size() - sizeof(raw)),
                                                    wanted, static_cast<int>(raw_.size()));
    if (written < wanted) die("lmdb+lz4: a value does not decompress");
    return {raw_.data() + offset, length};
  }

 private:
  std::string packed_;
  std::string raw_;
};

}  // namespace

std::unique_ptr<Contender> open_lmdb(const Settings& settings) {
  return std::make_unique<Lmdb>(settings);
}

std::unique_ptr<Contender> open_lmdb_lz4(const Settings& settings) {
  return std::make_unique<LmdbLz4>(settings);
}

}  // namespace bench
