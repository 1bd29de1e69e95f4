"""Invented Polish and Czech words: the same seed gives the same people and titles, for ever."""

import random
import unicodedata

__all__ = ["course_titles", "czech_names", "emails", "in_ascii", "lesson_titles"]

_FIRST = (
    "Agnieszka Aleksandra Anna Barbara Beata Dorota Elżbieta Ewa Hanna Iwona Joanna Julia Katarzyna Łucja "
    "Małgorzata Maria Monika Natalia Oliwia Zofia Adam Andrzej Bartosz Błażej Filip Grzegorz Jakub Jan Józef "
    "Kacper Krzysztof Łukasz Maciej Marek Michał Mikołaj Paweł Piotr Stanisław Tomasz Wojciech Zbigniew"
).split()
_LAST = (
    "Nowak Wójcik Kowalczyk Woźniak Mazur Krawczyk Zając Król Wróbel Wieczorek Jabłoński Stępień Dąbrowski "
    "Gąsior Pawlak Sikora Baran Rutkowski Michalak Szewczyk Ostrowski Tomaszewski Pietrzak Jaworski Malinowski "
    "Górski Pająk Śliwa Żak Łuczak Ćwik Źrebiec Brzęczyszczykiewicz"
).split()
_SUBJECTS = (
    "Matematyka", "Język polski", "Język angielski", "Język niemiecki", "Historia", "Wiedza o społeczeństwie",
    "Biologia", "Chemia", "Fizyka", "Geografia", "Informatyka", "Bezpieczeństwo i higiena pracy", "Pierwsza pomoc",
    "Przedsiębiorczość", "Rachunkowość", "Prawo pracy", "Ochrona danych osobowych (RODO)", "Excel w praktyce",
    "Programowanie w Pythonie", "Sieci komputerowe", "Obsługa klienta", "Żywienie i usługi gastronomiczne",
    "Mechanika pojazdów", "Elektrotechnika", "Logistyka", "Plastyka", "Muzyka", "Edukacja zdrowotna",
)  # fmt: skip
_LEVELS = (
    "klasa 1", "klasa 2", "klasa 3", "klasa 4", "poziom podstawowy", "poziom rozszerzony", "kurs wstępny",
    "powtórka do matury", "egzamin ósmoklasisty", "szkolenie roczne", "dla nauczycieli", "zajęcia dodatkowe",
)  # fmt: skip
_LESSONS = (
    "Wprowadzenie", "Podstawowe pojęcia", "Ćwiczenia", "Praca z tekstem", "Zadania z rozwiązaniami", "Powtórzenie",
    "Sprawdzian wiadomości", "Projekt zespołowy", "Studium przypadku", "Quiz: pytania i odpowiedzi", "Prezentacja",
    "Materiały dodatkowe", "Karta pracy „krok po kroku”", "Doświadczenie", "Podsumowanie działu",
)  # fmt: skip

_CZECH_MEN = (
    "Adam Antonín Bohumil Čeněk Dalibor Daniel David Dominik Filip Jakub Jan Jiří Josef Kryštof Ladislav Lukáš "
    "Matěj Matyáš Michal Ondřej Petr Řehoř Stanislav Šimon Štěpán Tomáš Václav Vojtěch Zdeněk"
).split()
_CZECH_WOMEN = (
    "Adéla Alžběta Anežka Anna Barbora Běla Dominika Eliška Ema Františka Gabriela Hana Jolana Kateřina Klára "
    "Kristýna Květa Lucie Magdaléna Markéta Natálie Nela Sofie Šárka Tereza Veronika Viktorie Zuzana Žaneta"
).split()
# A surname and how a woman bears it.
_CZECH_LAST = tuple(
    pair.split("/")
    for pair in (
        "Novák/Nováková Svoboda/Svobodová Dvořák/Dvořáková Černý/Černá Procházka/Procházková Kučera/Kučerová "
        "Veselý/Veselá Horák/Horáková Němec/Němcová Pokorný/Pokorná Růžička/Růžičková Beneš/Benešová "
        "Fiala/Fialová Sedláček/Sedláčková Doležal/Doležalová Zeman/Zemanová Kolář/Kolářová Krejčí/Krejčí "
        "Navrátil/Navrátilová Čermák/Čermáková Vaněk/Vaňková Šťastný/Šťastná Říha/Říhová Žák/Žáková Hůlka/Hůlková "
        "Jírů/Jírů Břečka/Břečková Ďurica/Ďuricová Hájek/Hájková Tvrdý/Tvrdá"
    ).split()
)


def czech_names(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """(given name, surname) such as ("Eliška", "Svobodová"); some people have the same."""
    names: list[tuple[str, str]] = []
    for _ in range(count):
        woman = rng.random() < 0.5
        names.append((rng.choice(_CZECH_WOMEN if woman else _CZECH_MEN), rng.choice(_CZECH_LAST)[woman]))
    return names


def course_titles(rng: random.Random, count: int) -> list[str]:
    """Titles such as “Matematyka – klasa 2”; from the second round on with a group's letter."""
    titles = [f"{subject} – {level}" for subject in _SUBJECTS for level in _LEVELS]
    rng.shuffle(titles)
    rounds = range(1, 2 + count // len(titles))
    return [title if r == 1 else f"{title}, grupa {r}" for r in rounds for title in titles][:count]


def lesson_titles(rng: random.Random, count: int) -> list[str]:
    """Titles such as “Lekcja 3: Ćwiczenia (Fizyka)”; repeated ones are usual."""
    return [f"Lekcja {i % 15 + 1}: {rng.choice(_LESSONS)} ({rng.choice(_SUBJECTS)})" for i in range(count)]


def in_ascii(name: str) -> str:
    """As in an address: small letters without marks."""
    folded = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L"))
    return folded.encode("ascii", "ignore").decode().lower()


def emails(rng: random.Random, count: int) -> list[str]:
    """Addresses such as lukasz.zak12@uczen.szkola.example, each once."""
    names = [f"{in_ascii(rng.choice(_FIRST))}.{in_ascii(rng.choice(_LAST))}" for _ in range(count)]
    return [f"{name}{i}@{rng.choice(('uczen', 'kadra'))}.szkola.example" for i, name in enumerate(names, 1)]
