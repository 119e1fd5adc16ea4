"""The page of pretrained weights: its table is that of the code."""

import re

from mmwsss.models.pretrained_table import TABLE
from tests.loading import ROOT

PAGE = ROOT / 'docs/weights.md'
BLOCK = re.compile(r'(<!-- weights table -->\n\n)(.*?)(<!-- end -->)', re.DOTALL)


def source(weights):
    """Return where weights come from, in words."""
    if weights.urls:
        return f'[{weights.urls[0].split("/")[2]}]({weights.urls[0]})'
    if weights.package:
        return f'`{weights.package[0]}` (pip)'
    return 'put there by you'


def link(citation):
    """Return a citation whose address is a link."""
    text, _, address = citation.rpartition(', ')
    return f'[{text}]({address})'


def table():
    rows = ['| name | weights | from | SHA-256 | licence | paper |', '|---|---|---|---|---|---|']
    for name, weights in TABLE.items():
        cells = [
            f'`{name}`',
            weights.title,
            source(weights),
            f'{weights.sha256}...' if weights.sha256 else '',
            weights.licence,
            link(weights.citation),
        ]
        rows.append(f'| {" | ".join(cells)} |')
    return '\n'.join(rows) + '\n\n'


def test_page_shows_the_table_of_the_code():
    assert BLOCK.search(PAGE.read_text())[2] == table()


def test_no_page_makes_files_by_hand_that_have_a_name():
    found = [
        f'{path.name}: {line}'
        for path in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
        for line in path.read_text().splitlines()
        if re.search(r'(?<!hub/)checkpoints/\w+\S*\.pth', line)
    ]
    assert found == []


if __name__ == '__main__':
    PAGE.write_text(BLOCK.sub(lambda match: match[1] + table() + match[3], PAGE.read_text()))
