"""The series of the article's program, as NumPy's legacy generator makes it.

    python make_article_series.py

Writes article_series.npy (1000 float64) beside this script. Made with NumPy 2.4.6.
"""

import pathlib

import numpy

numpy.random.seed(42)
series = numpy.random.normal(100, 10, 1000)
series[500:] += 5
numpy.save(pathlib.Path(__file__).with_name("article_series.npy"), series)
