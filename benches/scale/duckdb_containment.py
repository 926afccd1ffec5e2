"""The containment of every stored image in a question, as SQL over Parquet.

usage: duckdb_containment.py MATRIX QUERIES OUT ANSWERS CHECKED SECONDS

Reads the matrix and the questions that the benchmark wrote, writes Parquet of (content, image) sorted by content, asks
every question with all threads, once unmeasured and once measured, and prints one line of JSON. Needs duckdb and numpy.
"""

import json
import os
import sys
import threading
import time

import duckdb
import numpy

# Rows that are sorted in memory at a time.
ROWS_MAX = 64 << 20
SQL = """
    SELECT image, CAST(present AS UINTEGER) AS present, CAST(present_bytes AS UBIGINT) AS present_bytes
    FROM (SELECT image, count(*) AS present, sum(question.size) AS present_bytes
          FROM read_parquet($parquet) AS fleet JOIN question USING (content) GROUP BY image)
    JOIN images USING (image)
    WHERE present * 20 >= images.count
    ORDER BY image
"""


class Peak(threading.Thread):
    """Looks at the anonymous memory of this process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.anonymous = 0

    def run(self):
        while True:
            self.anonymous = max(self.anonymous, status("RssAnon"))
            time.sleep(0.005)


def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":"))


def write_parquet(database, matrix, out):
    contents = numpy.memmap(os.path.join(matrix, "contents"), dtype="<u8", mode="r")
    counts = numpy.fromfile(os.path.join(matrix, "counts"), dtype="<u4")
    ends = numpy.cumsum(counts, dtype=numpy.int64)
    slices = max(1, -(-len(contents) // ROWS_MAX))
    bounds = [number * (1 << 64) // slices for number in range(slices + 1)]
    os.makedirs(out)
    for number in range(slices):
        keys, images = rows_between(contents, ends, bounds[number], bounds[number + 1])
        rows = {"content": keys, "image": images}
        database.register("part", rows)
        path = os.path.join(out, f"{number:04}.parquet")
        database.execute(
            f"COPY (SELECT content, image FROM part ORDER BY content, image) TO '{path}'"
            " (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)"
        )
        database.unregister("part")
    return counts


def rows_between(contents, ends, low, high):
    keys, images = [], []
    for start in range(0, len(contents), ROWS_MAX):
        block = numpy.asarray(contents[start : start + ROWS_MAX])
        inside = numpy.flatnonzero((block >= numpy.uint64(low)) & (block <= numpy.uint64(high - 1)))
        keys.append(block[inside])
        images.append(numpy.searchsorted(ends, inside + start, side="right").astype(numpy.uint32))
    return numpy.concatenate(keys), numpy.concatenate(images)


def read_questions(folder):
    counts = numpy.fromfile(os.path.join(folder, "query-counts"), dtype="<u4")
    record = numpy.dtype([("content", ">u8"), ("rest", "V24"), ("size", "<u8")])
    records = numpy.fromfile(os.path.join(folder, "query-contents"), dtype=record)
    for part in numpy.split(records, numpy.cumsum(counts)[:-1]):
        yield {"content": part["content"].astype("<u8"), "size": part["size"].copy()}


def ask(database, out, question):
    database.register("question", question)
    answer = database.execute(SQL, {"parquet": os.path.join(out, "*.parquet")}).fetchnumpy()
    database.unregister("question")
    return answer


def write_answers(path, answers):
    record = numpy.dtype([("image", "<u4"), ("present", "<u4"), ("present_bytes", "<u8")])
    with open(path, "wb") as file:
        for answer in answers:
            rows = numpy.empty(len(answer["image"]), dtype=record)
            for name in record.names:
                rows[name] = numpy.ma.getdata(answer[name])
            file.write(len(rows).to_bytes(4, "little"))
            file.write(rows.tobytes())


def run_pass(questions, seconds, least, one):
    started = time.perf_counter()
    for number, question in enumerate(questions, 1):
        one(question)
        if time.perf_counter() - started > seconds and number >= least:
            break


def main(matrix, queries, out, answers_path, checked, seconds):
    database = duckdb.connect()
    database.execute("SET temp_directory = ?", [out + ".tmp"])
    database.execute("SET enable_progress_bar = false")
    started = time.perf_counter()
    counts = write_parquet(database, matrix, out)
    build_seconds = time.perf_counter() - started
    images = {"image": numpy.arange(len(counts), dtype=numpy.uint32), "count": counts}
    database.register("counts", images)
    database.execute("CREATE TABLE images AS SELECT * FROM counts")

    peak = Peak()
    peak.start()
    questions = list(read_questions(queries))
    answers, milliseconds = [], []

    def warm(question):
        answer = ask(database, out, question)
        if len(answers) < checked:
            answers.append(answer)

    def timed(question):
        asked = time.perf_counter()
        ask(database, out, question)
        milliseconds.append((time.perf_counter() - asked) * 1e3)

    run_pass(questions, seconds / 2, 1, warm)
    run_pass(questions, seconds / 2, 3, timed)
    write_answers(answers_path, answers)
    size = sum(os.path.getsize(os.path.join(out, name)) for name in os.listdir(out))
    result = {
        "version": duckdb.__version__,
        "bytes": size,
        "build_seconds": build_seconds,
        "milliseconds": milliseconds,
        "memory": {"peak_bytes": status("VmHWM"), "anonymous_peak_bytes": peak.anonymous},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), float(sys.argv[6]))
