# Shared by the scripts: sourced, never run. Who runs the server, where throw-away things live,
# and how they go away again whatever happens.
# shellcheck shell=bash

set -Eeuo pipefail
trap 'printf "%s: line %s: failed: %s\n" "${0##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

pg_config=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
# A user's connection settings must not lead a script to another server.
unset "${!PG@}"
export PG_CONFIG=$pg_config
# One language and one decimal point for everything that is parsed.
export LC_ALL=C.UTF-8
jobs=$(nproc)

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$*"
  exit 1
}

# --- users -----------------------------------------------------------------------------------

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n true 2>/dev/null || die "'$1' needs root: run this as root or as a user with sudo"
    sudo -n "$@"
  fi
}

# PostgreSQL refuses to run as root, so root's servers belong to postgres, everybody else's to
# themselves. The working directory may be closed to postgres, hence the cd.
as_server() {
  if ((EUID == 0)); then
    (cd "$scratch" && exec setpriv --reuid=postgres --regid=postgres --init-groups \
      env HOME="$scratch" TMPDIR="$scratch" "$@")
  else
    (cd "$scratch" && exec env TMPDIR="$scratch" "$@")
  fi
}

# --- what must go away again -----------------------------------------------------------------

scratch=
child=

# Makes $scratch, a directory of the server's user; nobody else but root can look in.
make_scratch() {
  local parent
  for parent in "${TMPDIR:-/tmp}" /tmp; do
    scratch=$(mktemp -d "$parent/toaststore.XXXXXX" 2>/dev/null) || continue
    ((EUID != 0)) || chown postgres: "$scratch"
    # Socket paths are limited to about 100 characters, and a parent may be closed to postgres.
    if ((${#scratch} < 60)) && as_server test -w . 2>/dev/null; then return; fi
    rmdir "$scratch"
  done
  scratch=
  die "found no directory for temporary files that the server's user can reach; set TMPDIR"
}

# Runs a command in a process group of its own and waits for it. A signal to the script is acted
# upon at once instead of after the command, and nothing of the command survives it.
run() {
  local status=0
  set -m
  "$@" &
  child=$!
  set +m
  wait "$child" || status=$?
  end_child
  return "$status"
}

end_child() {
  local tries
  [[ -n $child ]] || return 0
  # A script below this one needs a moment to clean up after itself.
  for ((tries = 0; tries < 100; tries++)); do
    kill -TERM -- "-$child" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL -- "-$child" 2>/dev/null || true
  child=
}

# Stops every server whose data directory lies below $scratch, whoever started it: this script,
# pg_regress, or a TAP test that was interrupted.
stop_servers() {
  local file
  while IFS= read -r file; do stop_server "$file"; done < <(
    find "$scratch" -name postmaster.pid 2>/dev/null
  )
}

stop_server() {
  local data=${1%/*} pid tries
  local -a line
  mapfile -t line <"$1" 2>/dev/null || return 0
  pid=${line[0]:-}
  [[ $pid =~ ^[0-9]+$ ]] || return 0
  # A server works in its data directory; anything else under that number is somebody else's.
  for ((tries = 0; tries < 100; tries++)); do
    [[ /proc/$pid/cwd -ef $data ]] || break
    kill -QUIT "$pid" 2>/dev/null || true
    sleep 0.1
  done
  [[ ! /proc/$pid/cwd -ef $data ]] || kill -KILL "$pid" 2>/dev/null || true
  # One that was killed, as the crash tests do, left its file and its shared memory behind.
  if [[ -f $1 && ${line[6]:-} =~ ([0-9]+)\ *$ ]]; then
    as_root ipcrm --shmem-id "${BASH_REMATCH[1]}" 2>/dev/null || true
  fi
}

clean_up() {
  set +e
  trap '' INT TERM HUP
  end_child
  if [[ -n $scratch ]]; then
    stop_servers
    # A process that is just going may still write, so once more if need be.
    rm -rf "$scratch" 2>/dev/null || { sleep 1 && rm -rf "$scratch"; }
  fi
}

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- building --------------------------------------------------------------------------------

build() {
  run make -j"$jobs" "PG_CONFIG=$pg_config"
}

# Installs into the server, unless what is there is what was built.
install_extension() {
  local share
  share=$("$pg_config" --sharedir)/extension
  if installed toaststore.so "$("$pg_config" --pkglibdir)" &&
    installed toaststore.control "$share" && installed toaststore--1.0.sql "$share" &&
    installed build/toaststorectl "$("$pg_config" --bindir)" &&
    installed build/libtoaststore.a "$("$pg_config" --libdir)" &&
    installed man/toaststorectl.1 "$("$pg_config" --mandir)/man1" &&
    installed 'include/toaststore/*.h' "$("$pg_config" --includedir)/toaststore"; then
    return
  fi
  as_root make -s install "PG_CONFIG=$pg_config"
}

# installed PATTERN DIRECTORY: the files that match are in the directory, too.
installed() {
  local file
  while IFS= read -r file; do
    cmp -s "$file" "$2/${file##*/}" || return 1
  done < <(compgen -G "$1")
}

# --- servers ---------------------------------------------------------------------------------

# start_server [SETTING...]: a throw-away server in $scratch, data checksums on, reached only
# through a Unix socket. The settings are lines of postgresql.conf.
start_server() {
  local bin
  bin=$("$pg_config" --bindir)
  as_server "$bin/initdb" --pgdata=data --data-checksums --no-sync --auth=trust \
    --username=postgres --encoding=UTF8 --locale=C.UTF-8 >"$scratch/initdb.log" ||
    die "initdb failed: $(cat "$scratch/initdb.log")"
  printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$scratch'" "$@" |
    as_server tee -a data/postgresql.conf >/dev/null
  as_server "$bin/pg_ctl" --pgdata=data --log=server.log --silent --wait start ||
    die "the server did not start: $(tail -n 20 "$scratch/server.log")"
}

# psql on that server, as its superuser; input and arguments are psql's.
sql() {
  psql --no-psqlrc --quiet --host="$scratch" --username=postgres --dbname="${database:-postgres}" \
    --set=ON_ERROR_STOP=1 "$@"
}

# The same for one value.
sql_value() { sql --tuples-only --no-align --command="$1"; }

# --- telling ---------------------------------------------------------------------------------

# progress LABEL DONE TOTAL: a bar on a terminal, a line at every quarter elsewhere.
progress() {
  local label=$1 done=$2 total=$3 width=40 filled percent bar
  percent=$((total > 0 ? 100 * done / total : 100))
  if [[ -t 1 ]]; then
    filled=$((width * percent / 100))
    printf -v bar '%*s' "$filled" ''
    printf '\r%-28s [%-*s] %3d%%' "$label" "$width" "${bar// /#}" "$percent"
    ((done < total)) || printf '\n'
  elif ((done >= total)) || ((percent / 25 > progress_quarter)); then
    progress_quarter=$((done >= total ? 0 : percent / 25))
    printf '%-28s %3d%%\n' "$label" "$percent"
  fi
}
progress_quarter=0
