// The store that a command works on: a directory of its own, or a file of a server's.

#ifndef TOASTSTORE_CTL_OPEN_H_
#define TOASTSTORE_CTL_OPEN_H_

#include <memory>
#include <string>

#include "toaststore/store.h"

namespace toaststore::ctl {

class OpenStore {
 public:
  enum class For : uint8_t {
    kReading,   // a directory or a server's file; nothing is written unless recovery is needed
    kWriting,   // a directory
    kCreating,  // the same, which is made if there is none
    kFilling,   // the same, where nothing needs to be durable before close()
  };

  OpenStore(const std::string& path, For purpose, const Options& options = {});
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;
  ~OpenStore();

  Store* operator->() { return store_.get(); }
  Store* get() { return store_.get(); }

  // Closes and says so if what was done is not durable.  A command that failed leaves that to the
  // destructor: it has something worse to tell.
  void close();

 private:
  void open_relation();
  void open_to_read();
  void open_to_write(For purpose, const Options& options);
  void lock_out_writers();
  void unlock();

  const std::string path_;
  std::unique_ptr<Store> store_;
  int lock_ = -1;
};

}  // namespace toaststore::ctl

#endif  // TOASTSTORE_CTL_OPEN_H_
