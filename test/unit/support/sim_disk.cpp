// Contents, names, and what crashes leave of them.

#include "support/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace toaststore::test {

void SimContent::read(uint64_t offset, void* bytes, size_t length) const {
  auto* out = static_cast<char*>(bytes);
  while (length > 0) {
    const size_t skip = offset % kBlockBytes;
    const size_t part = std::min(length, kBlockBytes - skip);
    const uint64_t block = offset / kBlockBytes;
    if (block < blocks_.size() && blocks_[block] != nullptr) {
      std::memcpy(out, blocks_[block]->data() + skip, part);
    } else {
      std::memset(out, 0, part);
    }
    out += part;
    offset += part;
    length -= part;
  }
}

char* SimContent::writable(uint64_t block) {
  std::shared_ptr<BlockBytes>& bytes = blocks_[block];
  if (bytes == nullptr) {
    bytes = std::make_shared<BlockBytes>();
  } else if (bytes.use_count() > 1) {
    bytes = std::make_shared<BlockBytes>(*bytes);
  }
  return bytes->data();
}

void SimContent::write(uint64_t offset, const void* bytes, size_t length) {
  if (offset + length > size_) resize(offset + length);
  const auto* from = static_cast<const char*>(bytes);
  while (length > 0) {
    const size_t skip = offset % kBlockBytes;
    const size_t part = std::min(length, kBlockBytes - skip);
    std::memcpy(writable(offset / kBlockBytes) + skip, from, part);
    from += part;
    offset += part;
    length -= part;
  }
}

void SimContent::resize(uint64_t bytes) {
  blocks_.resize((bytes + kBlockBytes - 1) / kBlockBytes);
  const size_t kept = bytes % kBlockBytes;
  if (bytes < size_ && kept != 0 && blocks_.back() != nullptr) {
    std::memset(writable(blocks_.size() - 1) + kept, 0, kBlockBytes - kept);
  }
  size_ = bytes;
}

void SimContent::flip(uint64_t offset, uint8_t bits) {
  char byte;
  read(offset, &byte, 1);
  byte = static_cast<char>(byte ^ bits);
  write(offset, &byte, 1);
}

std::vector<std::string> SimDisk::paths(const std::string& prefix) const {
  std::vector<std::string> found;
  for (const auto& [path, file] : names) {
    if (path.starts_with(prefix)) found.push_back(path);
  }
  return found;
}

std::string parent_path(const std::string& path) { return path.substr(0, path.rfind('/')); }

void SimOp::apply_to(SimDisk* disk) const {
  switch (kind) {
    case Kind::kWrite:
      disk->files[file].write(offset, bytes->data(), bytes->size());
      break;
    case Kind::kReserve:
      if (disk->files[file].size() < offset) disk->files[file].resize(offset);
      break;
    case Kind::kTruncate:
      disk->files[file].resize(offset);
      break;
    case Kind::kCreate:
      disk->names[path] = file;
      disk->files[file];
      break;
    case Kind::kRename:
      disk->names.erase(path);
      disk->names[to] = file;
      break;
    case Kind::kRemove:
      disk->names.erase(path);
      break;
    case Kind::kMakeDirectory:
      disk->directories.insert(path);
      break;
    case Kind::kSync:
    case Kind::kSyncDirectory:
      break;
  }
}

CrashedDisks::CrashedDisks(const SimDisk& start, const SimJournal& journal)
    : journal_(journal), durable_(start), all_(start) {}

bool CrashedDisks::advance() {
  if (done_ == journal_.size()) return false;
  const SimOp& op = journal_[done_];
  op.apply_to(&all_);
  if (op.kind == SimOp::Kind::kSync || op.kind == SimOp::Kind::kSyncDirectory) {
    end_of_sync(op);
  } else if (op.of_names()) {
    names_[parent_path(op.path)].push_back(done_);
  } else {
    contents_[op.file].push_back(done_);
  }
  done_++;
  return true;
}

void CrashedDisks::end_of_sync(const SimOp& sync) {
  const bool of_file = sync.kind == SimOp::Kind::kSync;
  if (sync.failed) {
    // Of names the next sync may do what this one did not.
    if (of_file) lost_.insert(contents_[sync.file].begin(), contents_[sync.file].end());
    return;
  }
  std::vector<size_t> ops;
  if (of_file) {
    if (const auto node = contents_.extract(sync.file)) ops = node.mapped();
  } else {
    if (const auto node = names_.extract(sync.path)) ops = node.mapped();
  }
  for (const size_t op : ops) apply(op, &durable_);
}

// Does to what the disk has what there is left to do.
void CrashedDisks::apply(size_t index, SimDisk* disk) const {
  const SimOp& op = journal_[index];
  if (op.kind != SimOp::Kind::kWrite || !lost_.contains(index)) return op.apply_to(disk);
  SimContent& content = disk->files[op.file];
  content.resize(std::max(content.size(), op.offset + op.bytes->size()));
}

// Names of directories that are gone lead nowhere; files without a name are gone.
SimDisk CrashedDisks::sweep(SimDisk disk) {
  std::set<int> named;
  for (auto at = disk.names.begin(); at != disk.names.end();) {
    if (disk.directories.contains(parent_path(at->first))) {
      named.insert(at->second);
      ++at;
    } else {
      at = disk.names.erase(at);
    }
  }
  std::erase_if(disk.files, [&](const auto& file) { return !named.contains(file.first); });
  for (const int file : named) disk.files[file];
  return disk;
}

namespace {

// How much of a row of operations there is after a crash.
enum class Part : uint8_t { kNone, kAll, kFirst, kAny };

Part some_part(Random* random) {
  constexpr Part kParts[] = {Part::kNone, Part::kAll, Part::kFirst, Part::kAny, Part::kAny};
  return kParts[random->below(std::size(kParts))];
}

}  // namespace

// Each sector has the state it had after some of the writes to it: what a page in the system's
// cache holds is written whole, whoever wrote to it.
void CrashedDisks::some_of(int file, const std::vector<size_t>& ops, Random* random,
                           SimDisk* disk) const {
  const Part part = some_part(random);
  if (part == Part::kNone) return;
  SimContent& content = disk->files[file];
  size_t count = ops.size();
  if (part == Part::kFirst) count = random->below(count + 1);
  uint64_t size = content.size();
  const size_t sized = part == Part::kAny ? random->below(count + 1) : count;
  std::unordered_map<uint64_t, uint64_t> writes;  // by sector: how many more of them are there
  for (size_t i = 0; i < count; i++) {
    const SimOp& op = journal_[ops[i]];
    const bool known = i < sized;
    if (op.kind != SimOp::Kind::kWrite || lost_.contains(ops[i])) {
      if (known) apply(ops[i], disk);
      if (known) size = content.size();
      continue;
    }
    const uint64_t end = op.offset + op.bytes->size();
    if (known) size = std::max(size, end);
    for (uint64_t at = op.offset; at < end;) {
      const uint64_t next = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
      bool there = true;
      if (part == Part::kAny) {
        const auto [left, fresh] = writes.try_emplace(at / kSectorBytes);
        if (fresh) left->second = random->below(3) == 0 ? 0 : 1 + random->below(ops.size());
        there = left->second > 0;
        if (there) left->second--;
      }
      if (there) content.write(at, op.bytes->data() + (at - op.offset), next - at);
      at = next;
    }
  }
  content.resize(size);
}

SimDisk CrashedDisks::something(Random* random) const {
  SimDisk disk = durable_;
  for (const auto& [file, ops] : contents_) some_of(file, ops, random, &disk);
  for (const auto& [directory, ops] : names_) {
    const Part part = some_part(random);
    const size_t count = part == Part::kFirst ? random->below(ops.size() + 1) : ops.size();
    for (size_t i = 0; i < count; i++) {
      const bool there = part == Part::kAny ? random->below(2) == 0 : part != Part::kNone;
      if (there) apply(ops[i], &disk);
    }
  }
  return sweep(std::move(disk));
}

}  // namespace toaststore::test
