"""What wfdb-python reads in its own sample data: one line of digests for each signal.

    pip install wfdb==4.3.1
    python make_waveforms.py SAMPLE_DATA > waveforms.csv

SAMPLE_DATA is wfdb-python's folder `sample-data`. A digest is the SHA-256 of the values one after the other: of
digital ones as little-endian int32 with missing values as the lowest of the format, of physical ones (`p`) as
little-endian float64 with missing values as all zero bits but the sign (-0.0).
"""
import hashlib, pathlib, sys

import numpy as np
import wfdb

DIGITAL = ["100", "100_3chan", "100skew", "100-no-len", "binformats", "flacformats", "flac_3_constant", "mixedsignals",
           "310derive", "310derive_2", "310derive_3", "311derive", "311derive_2", "311derive_3", "311derive_4", "a103l",
           "a103l-no-len", "test01_00s", "test01_00s_frame", "test01_00s_skew", "test01_00s_skewframe", "03700181", "p10143",
           "s0010_re", "v102s", "3000003_0003", "test_generator_2"]
# Record, first frame, frame after the last.
PHYSICAL = [("100", 0, 2000), ("a103l", 1000, 3000), ("mixedsignals", 0, 14400), ("multi-segment/041s/041s", 0, 2000),
            ("multi-segment/041s/041s", 900, 1100), ("multi-segment/fixed1/v102s", 0, 225000),
            ("multi-segment/fixed1/v102s", 74000, 151000), ("multi-segment/p000878/p000878-2137-10-26-16-57", 0, 6000),
            ("multi-segment/s25047/s25047-2704-05-04-10-44", 0, 60000),
            ("multi-segment/s00001/s00001-2896-10-10-00-31", 0, 5000)]


def line(kind, name, first, last, number, signal, values):
    print(f"{kind},{name},{first},{last},{number},{signal},{len(values)},{hashlib.sha256(values.tobytes()).hexdigest()}")


folder = pathlib.Path(sys.argv[1])
print("kind,record,first,last,number,signal,values,sha256")
for name in DIGITAL:
    # Where all signals have one sample in a frame; 4.3.1 cannot read some of them otherwise.
    plain = name in ("binformats", "p10143")
    record = wfdb.rdrecord(str(folder / name), physical=False, smooth_frames=plain)
    for at, values in enumerate(record.d_signal.T if plain else record.e_d_signal):
        line("d", name, 0, record.sig_len, at, record.sig_name[at], np.asarray(values).astype("<i4"))
for name, first, last in PHYSICAL:
    record = wfdb.rdrecord(str(folder / name), sampfrom=first, sampto=last, smooth_frames=False, m2s=True)
    columns = record.e_p_signal if record.e_p_signal is not None else list(record.p_signal.T)
    for at, values in enumerate(columns):
        values = np.asarray(values, dtype="<f8").copy()
        values[np.isnan(values)] = -0.0
        line("p", name, first, last, at, record.sig_name[at], values)
