"""The names in a server's certificate. Pure functions."""

from __future__ import annotations

from components.settings.https import HttpsSettings


def certificate_names(settings: HttpsSettings) -> tuple[str, ...]:
    """The site's names: the domain, www. of it, and the aliases in the order of the alphabet.

    They are in lower case, and names with other letters than ASCII are in Punycode (``xn--``), because the settings
    must be. Empty without a domain.
    """
    if settings.domain is None:
        return ()
    return (settings.domain, f"www.{settings.domain}", *sorted(settings.aliases))
