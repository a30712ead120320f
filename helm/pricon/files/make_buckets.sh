# Makes the buckets that are named, once the store answers: the first run of all reads before anything is written.
ask() { # its shell waits for the store without end
  echo "$1" | timeout 20 weed shell -master=127.0.0.1:9333
}
for bucket in "$@"; do
  for _ in $(seq 100); do
    ask s3.bucket.list | awk -v name="$bucket" '$1 == name || $2 == name { found = 1 } END { exit !found }' && continue 2
    ask "s3.bucket.create -name $bucket"
    sleep 1
  done
  echo "no bucket $bucket" >&2
  exit 1
done
