"""Small EDF and BDF files written by pyEDFlib (EDFlib), and what it reads in them.

    pip install pyedflib==0.1.42 numpy
    python make_edf.py            # writes *.edf, *.bdf, expected.csv and steps.csv beside itself, bed*.edf for the sessions

A digest is the SHA-256 of the values one after the other: little-endian int32 of the numbers, little-endian float64 of
the physical values. EDFlib neither writes nor reads discontinuous files: `gaps.edf` is `night.edf` with another reserved
field and other starts of its records, so its samples are those of `night.edf`. All names are made up.
"""
import datetime, hashlib, pathlib

import numpy as np
import pyedflib
from pyedflib import EdfWriter, EdfReader

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(20261124)


def signal(label, unit, frequency, physical, digital, transducer="", prefilter=""):
    return dict(label=label, dimension=unit, sample_frequency=frequency, physical_min=physical[0], physical_max=physical[1],
                digital_min=digital[0], digital_max=digital[1], transducer=transducer, prefilter=prefilter)


def write(name, kind, signals, records, notes=(), seconds=None):
    writer = EdfWriter(str(HERE / name), len(signals), file_type=kind)
    if seconds is not None:
        writer.setDatarecordDuration(seconds)
    writer.setSignalHeaders(signals)
    writer.setPatientCode("MCH-0234567")
    writer.setPatientName("Haagse_Harry")
    writer.setTechnician("NN")
    writer.setRecordingAdditional("ward_3")
    writer.setStartdatetime(datetime.datetime(2002, 3, 2, 22, 15, 0))
    counts = [writer.get_smp_per_record(at) for at in range(len(signals))]
    for record in range(records):
        for at, (one, count) in enumerate(zip(signals, counts)):
            low, high = one["digital_min"], one["digital_max"]
            values = RANDOM.integers(low, high, count, endpoint=True).astype(np.int32)
            if record == 0:
                values[:2] = [low, high][:count]
            writer.writeDigitalSamples(values)
    for onset, duration, text in notes:
        writer.writeAnnotation(onset, duration, text)
    writer.close()


EEG = signal("EEG Fpz-Cz", "uV", 100, (-440.0, 510.5), (-2048, 2047), "AgAgCl cup electrodes", "HP:0.1Hz LP:75Hz N:50Hz")
SPO2 = signal("SpO2", "%", 1, (0.0, 100.0), (-32768, 32767))
FLOW = signal("Flow", "L/min", 32, (50.0, -50.0), (-32768, 32767), "", "negative gain")

write("plain.edf", pyedflib.FILETYPE_EDF, [EEG, SPO2], 7)
write("night.edf", pyedflib.FILETYPE_EDFPLUS, [EEG, FLOW, SPO2], 6,
      [(0.0, -1, "Recording starts"), (0.5, 2.25, "Apnoea"), (3.125, -1, "Sleep stage W"), (5.9, 0.1, "Öffnung µ")])
write("ecg.bdf", pyedflib.FILETYPE_BDFPLUS,
      [signal("A1", "uV", 256, (-262144.0, 262143.0), (-8388608, 8388607)),
       signal("Resp", "", 16, (-1.0, 1.0), (-1000, 1000))], 2, [(1.5, -1, "Beat")])
write("old.bdf", pyedflib.FILETYPE_BDF, [signal("C3", "uV", 64, (-187500.0, 187500.0), (-8388608, 8388607))], 3)
write("half.edf", pyedflib.FILETYPE_EDFPLUS, [signal("ABP", "mmHg", 60, (-10.0, 300.0), (0, 4095))], 5, seconds=0.5)

# Records 3 to 5 begin 100 s later than they do in night.edf.
gaps = bytearray((HERE / "night.edf").read_bytes())
assert gaps[192:197] == b"EDF+C"
gaps[196:197] = b"D"
signals = int(gaps[252:256])
samples = [int(gaps[256 + 216 * signals + 8 * at:][:8]) for at in range(signals)]
for number in range(3, 6):
    end = 256 * (signals + 1) + (number + 1) * 2 * sum(samples)
    lists = bytes(gaps[end - 2 * samples[-1]:end])
    moved = lists.replace(b"+%d\x14\x14" % number, b"+%d\x14\x14" % (number + 100), 1)
    assert len(moved) == len(lists) + 2 and moved.endswith(b"\0\0\0")
    gaps[end - 2 * samples[-1]:end] = moved[:-2]
(HERE / "gaps.edf").write_bytes(gaps)


def bed(name, patient, seconds=240):
    """A heart rate that wanders, and an oxygen saturation that follows it; two rates."""
    writer = EdfWriter(str(HERE / "../cli/input" / name), 2, file_type=pyedflib.FILETYPE_EDF)
    writer.setSignalHeaders([signal("HR", "bpm", 2, (0.0, 300.0), (0, 3000)), signal("SpO2", "%", 1, (0.0, 100.0), (0, 1000))])
    writer.setPatientName(patient)
    writer.setPatientCode("MCH-0234567")
    writer.setStartdatetime(datetime.datetime(2002, 3, 2, 22, 15, 0))
    rate = 75 + np.cumsum(RANDOM.normal(0, 0.7, 2 * seconds)) * 0.9
    rate = np.clip(rate, 40, 180)
    saturation = np.clip(99 - (rate[::2] - 75) / 20 + RANDOM.normal(0, 0.2, seconds), 80, 100)
    for second in range(seconds):
        writer.writeDigitalSamples(np.round(rate[2 * second:2 * second + 2] * 10).astype(np.int32))
        writer.writeDigitalSamples(np.round(saturation[second:second + 1] * 10).astype(np.int32))
    writer.close()


bed("bed1.edf", "Haagse_Harry")
bed("bed2.edf", "Delftse_Dirk")
bed("bed3.edf", "Haagse_Harry")


def digest(values, kind):
    return hashlib.sha256(np.asarray(values).astype(kind).tobytes()).hexdigest()


with open(HERE / "expected.csv", "w", encoding="utf-8") as out:
    print("kind,file,label or onset,unit or duration,frequency or text,samples,sha256 of numbers,sha256 of values", file=out)
    for name in ["plain.edf", "night.edf", "ecg.bdf", "old.bdf", "half.edf"]:
        with EdfReader(str(HERE / name)) as reader:
            for at in range(reader.signals_in_file):
                numbers, values = reader.readSignal(at, digital=True), reader.readSignal(at)
                frequency = reader.getSampleFrequency(at)
                print("signal", name, reader.getLabel(at).strip(), reader.getPhysicalDimension(at).strip(), f"{frequency:g}",
                      len(values), digest(numbers, "<i4"), digest(values, "<f8"), sep=",", file=out)
            for onset, duration, text in zip(*reader.readAnnotations()):
                print("note", name, f"{onset:.4f}", f"{duration:g}", text, "", "", "", sep=",", file=out)

# Means of each second, those of gaps.edf being these with a hundred empty seconds between the third and the fourth.
with EdfReader(str(HERE / "night.edf")) as reader, open(HERE / "steps.csv", "w", encoding="utf-8") as out:
    means = [reader.readSignal(at).reshape(6, -1).mean(axis=1) for at in range(3)]
    for second in range(6):
        print(*(f"{mean[second]:.17g}" for mean in means), sep=",", file=out)
