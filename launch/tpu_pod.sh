#!/usr/bin/env bash
# A TPU VM pod from nothing to results: create, copy, install, run one command on all its
# workers, collect, delete.
#
# Usage: launch/tpu_pod.sh all --config=configs/mtard_cifar100.py --workdir=/mnt/shared/mtard
#        launch/tpu_pod.sh create | copy | install | run FLAGS... | collect FOLDER | delete
#
# Settings, from the environment:
#   NAME=jaxrkd               of the TPU VM
#   ZONE=us-central2-b        where
#   TYPE=v4-32                accelerator type: v4-32 has 4 workers
#   VERSION=tpu-ubuntu2204-base   its system; v5e: TYPE=v5litepod-16 and
#                             VERSION=v2-alpha-tpuv5-lite
#   SETUP=                    command for all workers before each installation, such as
#                             'mountpoint -q /mnt/shared || sudo mount ...' for the workdir
#   PROGRAM=launch/main.py    what runs
#   DATA=                     folder with prepared TFDS data to copy along, if any
#   SPOT=1                    cheaper machines that can be taken away; unset or 0: no
#
# FLAGS go to the program as they are. --workdir must be one folder for all workers, a mounted
# bucket or a shared disk, which outlives the machines; `all` insists on an absolute one. A TPU
# VM of one worker may keep it in jaxrkd/runs, from where `collect jaxrkd/runs/mtard` copies
# it. When machines are taken away, the same command continues from the last checkpoint: the
# program saves on SIGTERM.
set -euo pipefail

NAME=${NAME:-jaxrkd} ZONE=${ZONE:-us-central2-b} TYPE=${TYPE:-v4-32}
VERSION=${VERSION:-tpu-ubuntu2204-base} SETUP=${SETUP:-} PROGRAM=${PROGRAM:-launch/main.py}
top=$(cd "$(dirname "$0")/.." && pwd)

die() {
  echo "error: $*" >&2
  exit 2
}

tpu() { gcloud compute tpus tpu-vm "$@" --zone="$ZONE"; }

everywhere() { tpu ssh "$NAME" --worker=all --command="$1"; }

create() {
  local state
  state=$(tpu describe "$NAME" --format='value(state)' 2>/dev/null || true)
  case $state in
    '') ;;
    READY | CREATING | STARTING | RESTARTING)
      echo "$NAME exists already ($state)"
      return
      ;;
    *)
      # Taken away, stopped or broken: what it held is gone.
      echo "$NAME is $state and is made again"
      delete
      ;;
  esac
  tpu create "$NAME" --accelerator-type="$TYPE" --version="$VERSION" $([[ ${SPOT:-0} == 0 ]] || echo --spot)
}

copy() {
  local pack
  pack=$(mktemp -d)
  # What is committed, so that a run can be told by its commit.
  git -C "$top" archive --format=tar.gz --prefix=jaxrkd/ -o "$pack/jaxrkd.tar.gz" HEAD
  tpu scp "$pack/jaxrkd.tar.gz" "$NAME:~/" --worker=all
  # Runs of before stay.
  everywhere 'mkdir -p ~/jaxrkd &&
    find ~/jaxrkd -mindepth 1 -maxdepth 1 ! -name runs ! -name .venv -exec rm -rf {} + &&
    tar xzf ~/jaxrkd.tar.gz'
  if [[ -n ${DATA:-} ]]; then
    [[ -d $DATA ]] || die "DATA=$DATA is no folder"
    tpu scp --recurse "$DATA" "$NAME:~/tensorflow_datasets" --worker=all
  fi
  rm -rf "$pack"
}

# The machines' own Python may be older than jax needs (3.10 on Ubuntu 22.04): uv brings one.
install() {
  [[ -z $SETUP ]] || everywhere "$SETUP"
  everywhere 'cd ~/jaxrkd && python3 -m pip install --quiet --user uv &&
    python3 -m uv venv --quiet --clear --seed --python ">=3.11,<3.14" .venv &&
    .venv/bin/pip install --quiet -c constraints.txt -e .[tpu]'
}

run() {
  (($#)) || die 'run needs the flags of the program, such as --config=... --workdir=...'
  local flags
  flags=$(printf ' %q' "$@")
  # Every worker runs the same command; auto asks the machine who the others are.
  everywhere "cd ~/jaxrkd && .venv/bin/python $PROGRAM --coordinator=auto$flags"
}

collect() {
  (($# == 1)) || die 'collect needs a folder on worker 0, such as jaxrkd/runs/mtard'
  mkdir -p runs
  tpu scp --recurse "$NAME:$1" runs/ --worker=0
}

delete() { tpu delete "$NAME" --quiet; }

command -v gcloud >/dev/null || die 'gcloud is not installed; see cloud.google.com/sdk'
(($#)) || die 'no command; one of all, create, copy, install, run, collect, delete'
verb=$1
shift
case $verb in
  create | copy | install | run | collect | delete) "$verb" "$@" ;;
  all)
    (($#)) || die 'all needs the flags of the program, such as --config=... --workdir=...'
    [[ " $*" == *' --workdir=/'* ]] ||
      die 'all deletes the machines at the end: give a --workdir that outlives them, an' \
        'absolute path on a shared disk or a mounted bucket; or use create, copy, install,' \
        'run, collect and delete one by one'
    create
    copy
    install
    run "$@"
    # Not reached where the run failed: look at it, then run again or delete.
    delete
    ;;
  *) die "unknown command $verb; one of all, create, copy, install, run, collect, delete" ;;
esac
