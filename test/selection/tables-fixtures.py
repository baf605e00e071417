"""Writes tables-fixtures.json with pyarrow 25.0.1: one small table in the forms that other writers use."""

import base64
import io
import json
import os

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

USERS = ["ada", None, "bo", "grandpré of the long name", "ada", "", "cy", "ada"]
TEXTS = ["x", "é\n😀", None, "", "a text that is longer than twelve bytes", "y", "z", "w"]
NUMBERS = [1, 2, None, 4, 5, 6, 7, -8]
TAGS = [["p", None], [], None, ["q"], ["r", "s"], [], ["t"], ["u"]]


def table(user=pa.utf8(), text=pa.utf8()):
    return pa.table(
        {
            "user": pa.array(USERS, pa.utf8()).cast(user),
            "text": pa.array(TEXTS, pa.utf8()).cast(text),
            "n": pa.array(NUMBERS, pa.int64()),
            "tags": pa.array(TAGS, pa.list_(pa.utf8())),
            "pair": pa.array([None if n is None else {"a": n, "b": str(n)} for n in NUMBERS]),
        }
    )


def arrow(batches, schema, form, **options):
    sink = io.BytesIO()
    make = ipc.new_file if form == "file" else ipc.new_stream
    with make(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def whole(of, form="file", rows=3, **options):
    return arrow(of.to_batches(max_chunksize=rows), of.schema, form, **options)


def coded(dictionaries):
    """Batches of two rows each, whose indices mean something else from batch to batch."""
    kind = pa.dictionary(pa.int8(), pa.utf8())
    schema = pa.schema([("user", kind)])
    batches = [
        pa.record_batch([pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(entries))], schema=schema)
        for entries, codes in dictionaries
    ]
    return batches, schema


def parquet(of, **options):
    sink = io.BytesIO()
    pq.write_table(of, sink, store_schema=False, **options)
    return sink.getvalue()


GROWING = coded([(["ada", "bo"], [0, 1]), (["ada", "bo", "cy"], [2, 0]), (["ada", "bo", "cy", "di"], [3, None])])
CHANGING = coded([(["ada", "bo"], [0, 1]), (["cy", "ada"], [0, 1]), (["di"], [0, None])])

FIXTURES = {
    "plain.arrow": whole(table()),
    "plain.arrows": whole(table(), "stream"),
    "large.arrow": whole(table(pa.large_utf8(), pa.large_utf8())),
    "view.arrow": whole(table(pa.string_view(), pa.string_view())),
    "view-zstd.arrow": whole(table(pa.string_view(), pa.string_view()), compression="zstd"),
    "lz4.arrow": whole(table(), compression="lz4"),
    "zstd.arrows": whole(table(), "stream", compression="zstd"),
    "dictionary.arrow": whole(table(pa.dictionary(pa.int8(), pa.utf8()))),
    "dictionary-view.arrow": whole(table(pa.dictionary(pa.int32(), pa.large_utf8()))),
    "old.arrow": whole(table(), metadata_version=ipc.MetadataVersion.V4, use_legacy_format=True),
    "delta.arrows": arrow(*GROWING, "stream", emit_dictionary_deltas=True),
    "delta.arrow": arrow(*GROWING, "file", emit_dictionary_deltas=True),
    "replaced.arrows": arrow(*CHANGING, "stream"),
    "sliced.arrow": arrow([batch.slice(1, 5) for batch in table().to_batches()], table().schema, "file"),
    "snappy.parquet": parquet(table(), compression="snappy"),
    "groups.parquet": parquet(table(), compression="zstd", row_group_size=3),
    "plain.parquet": parquet(table(), compression="none", use_dictionary=False),
    "pages.parquet": parquet(table(), compression="gzip", data_page_version="2.0", data_page_size=1, write_batch_size=2),
    "pages-plain.parquet": parquet(table(), data_page_version="2.0", use_dictionary=False, data_page_size=1, write_batch_size=2),
    "delta.parquet": parquet(
        table(),
        use_dictionary=False,
        column_encoding={"user": "DELTA_BYTE_ARRAY", "text": "DELTA_LENGTH_BYTE_ARRAY"},
    ),
    "fallback.parquet": parquet(table(), dictionary_pagesize_limit=8, data_page_size=1, write_batch_size=2),
}

if __name__ == "__main__":
    path = os.path.join(os.path.dirname(__file__), "tables-fixtures.json")
    with open(path, "w") as file:
        json.dump({name: base64.b64encode(data).decode() for name, data in FIXTURES.items()}, file, indent=2)
        file.write("\n")
