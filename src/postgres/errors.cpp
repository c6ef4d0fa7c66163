// The seam where the engine's statuses become errors.

#include "postgres/host.h"

namespace toaststore {

namespace {

void raise_corruption(const Status& status, const char* name, uint64_t id) {
  if (id != 0) {
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("value %llu of toaststore \"%s\" is corrupted in block %u: %s",
                    static_cast<unsigned long long>(id), name, status.block, status.reason),
             errhint("Restore the value from a backup; toaststore.verify() lists what else is "
                     "damaged.")));
  }
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                  errmsg("toaststore \"%s\" is corrupted in block %u: %s", name, status.block,
                         status.reason),
                  errhint("toaststore.verify() lists what is damaged.")));
}

}  // namespace

void raise(const Status& status, Relation rel, uint64_t id) {
  if (status.id != 0) id = status.id;
  const char* name = RelationGetRelationName(rel);
  const auto number = static_cast<unsigned long long>(id);
  switch (status.code) {
    case Code::kExists:
      ereport(ERROR,
              (errcode(ERRCODE_UNIQUE_VIOLATION),
               errmsg("id %llu already exists in toaststore \"%s\"", number, name),
               errdetail("%s.", status.reason), errhint("Leave the id out to take the next one.")));
      break;
    case Code::kConflict:
      ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                      errmsg("could not serialize access due to concurrent delete")));
      break;
    case Code::kInvalid:
      ereport(ERROR,
              (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
               errmsg("id %lld is out of range for toaststore \"%s\"", static_cast<long long>(id),
                      name),
               errdetail("Ids are between %llu and %llu.", static_cast<unsigned long long>(kMinId),
                         static_cast<unsigned long long>(kMaxId))));
      break;
    case Code::kLimit:
    case Code::kNoSpace:
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                      errmsg("toaststore \"%s\": %s", name, status.reason)));
      break;
    case Code::kNewerFormat:
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
               errmsg("toaststore \"%s\" has a format that this version does not know", name),
               errhint("Install the version of toaststore that wrote it, or a newer one.")));
      break;
    case Code::kNoMemory:
      ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                      errdetail("Failed while working on toaststore \"%s\".", name)));
      break;
    case Code::kNotFound:
      ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND),
                      errmsg("value %llu of toaststore \"%s\" does not exist", number, name)));
      break;
    case Code::kIo:
      ereport(ERROR,
              (errcode(ERRCODE_IO_ERROR), errmsg("toaststore \"%s\": %s", name, status.reason)));
      break;
    case Code::kOk:
    case Code::kRetry:
    case Code::kCorruption:
      raise_corruption(status, name, id);
      break;
  }
  pg_unreachable();
}

}  // namespace toaststore
