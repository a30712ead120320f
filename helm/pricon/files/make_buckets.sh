# Makes the buckets that are named, once the store answers: the first run of all reads before anything is written.
for bucket in "$@"; do
  for _ in $(seq 300); do
    echo s3.bucket.list | weed shell -master=127.0.0.1:9333 | awk -v name="$bucket" '$1 == name { found = 1 } END { exit !found }' && continue 2
    echo "s3.bucket.create -name $bucket" | weed shell -master=127.0.0.1:9333
    sleep 1
  done
  echo "no bucket $bucket after five minutes" >&2
  exit 1
done
