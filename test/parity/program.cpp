// A program that keeps values in a store of its own: as the head of toaststore/store.h has it.

#include "toaststore/store.h"

#include <cstring>
#include <memory>

int main(int, char** words) {
  const char text[] = "a value";
  toaststore::Store* opened;
  if (!toaststore::Store::open(words[1], {}, &opened).ok()) return 1;
  const std::unique_ptr<toaststore::Store> store(opened);
  uint64_t id;
  if (!store->put(text, sizeof(text), &id).ok()) return 2;
  toaststore::Buffer value;
  if (!store->get(id, &value).ok()) return 3;
  if (value.size() != sizeof(text) || std::memcmp(value.data(), text, sizeof(text)) != 0) return 4;
  return store->close().ok() ? 0 : 5;
}
