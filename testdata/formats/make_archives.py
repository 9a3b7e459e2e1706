"""Small archives with everything that a reader may meet in one.

    python make_archives.py

Writes archive/records.{gnu,pax}.tar and records.tar.gz, records.tar.xz beside this script: a
folder, a link, a name that climbs out of the folder, a name of 180 letters, an empty file, a
WFDB record. Made with the tarfile of Python 3.
"""

import io
import pathlib
import tarfile

HERE = pathlib.Path(__file__).parent / "archive"
HERE.mkdir(exist_ok=True)
WORDS = [0x0412, 0x143B, (60 << 10) | 2, (1 << 10) | 300, 0x0000]
FILES = {
    "data/r1.hea": b"r1 0 250 1000\n",
    "data/r1.atr": b"".join(w.to_bytes(2, "little") for w in WORDS),
    "data/r1.dat": bytes(range(256)) * 8,
    "../../climb.txt": b"nothing is written anywhere\n",
    "data/" + "n" * 180 + ".txt": b"long\n",
    "empty.txt": b"",
}


def write(name, mode, form):
    with tarfile.open(HERE / name, mode, format=form) as tar:
        folder = tarfile.TarInfo("data")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("data/link.hea")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for path, content in FILES.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


write("records.gnu.tar", "w", tarfile.GNU_FORMAT)
write("records.pax.tar", "w", tarfile.PAX_FORMAT)
write("records.tar.gz", "w:gz", tarfile.PAX_FORMAT)
write("records.tar.xz", "w:xz", tarfile.PAX_FORMAT)
