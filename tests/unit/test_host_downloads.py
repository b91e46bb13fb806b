"""The sentences for corpora and models that packages look for."""

from __future__ import annotations

from host.explain import explain


def test_a_corpus_of_nltk_is_downloaded_by_a_build_line():
    for name in ("punkt", "\x1b[93mpunkt\x1b[0m"):
        sentence = explain(
            f"LookupError: \n****\n  Resource {name} not found.\n  Please use the NLTK Downloader to obtain"
        )
        assert "`build: python -m nltk.downloader -d nltk_data punkt`" in sentence
        assert "pulumi config set --path env.NLTK_DATA nltk_data" in sentence


def test_a_model_of_spacy_is_a_package():
    sentence = explain("OSError: [E050] Can't find model 'en_core_web_sm'. It doesn't seem to be a Python package")
    assert "en_core_web_sm @ https://" in sentence
    assert sentence.endswith("/en_core_web_sm-<version>-py3-none-any.whl")
