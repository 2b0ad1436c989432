"""What a soak came to, as Markdown with one plot (SVG) for each thing that was watched."""
from collections import Counter
from statistics import median

WIDTH, HEIGHT, MARGIN = 720, 160, 44
MEMORY, DESCRIPTORS = 2, 3  # columns of a sample
PLOTS = (("rss", MEMORY, "resident memory, KiB"), ("descriptors", DESCRIPTORS, "open descriptors"),
         ("console", 4, "SHOW POOLS, ms"), ("waiting", 5, "clients waiting"))


def growth(samples, column=MEMORY):
    """How much the second half of the longest-lived process grew over its first half, as a share; None when it
    was not watched long enough. (After an online restart another process counts anew.)"""
    pid, count = Counter(sample[1] for sample in samples).most_common(1)[0] if samples else (None, 0)
    if count < 60:
        return None
    values = [sample[column] for sample in samples if sample[1] == pid][20:]  # warm by then
    half = len(values) // 2
    return median(values[half:]) / median(values[:half]) - 1


def plot(samples, column, title, marks):
    """A line over time, with a tick for each thing that went wrong."""
    end = max(samples[-1][0], 1)
    most = max(sample[column] for sample in samples) or 1

    def x(seconds):
        return MARGIN + (WIDTH - 2 * MARGIN) * seconds / end

    def y(value):
        return HEIGHT - 24 - (HEIGHT - 48) * value / most

    line = " ".join(f"{x(sample[0]):.1f},{y(sample[column]):.1f}" for sample in samples)
    ticks = "".join(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="24" y2="{HEIGHT - 24}" stroke="#d9822b" '
                    f'stroke-width="1" opacity="0.5"><title>{name}</title></line>' for at, name in marks)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            f'font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
            f'<text x="{MARGIN}" y="16">{title}</text>{ticks}'
            f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>'
            f'<text x="4" y="{y(most) + 4:.0f}">{most:.0f}</text><text x="4" y="{y(0):.0f}">0</text>'
            f'<text x="{WIDTH - MARGIN - 30}" y="{HEIGHT - 8}">{end:.0f} s</text></svg>\n')


def write_report(folder, samples, trouble, workers, violations, seed):
    """report.md and the plots; the path of the former."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# Soak, seed {seed}", "", f"{len(violations)} violations.", ""]
    lines += [f"- {violation}" for violation in violations[:50]]
    lines += ["", "| workers | turns | what they had to bear |", "|---|---|---|"]
    for kind in sorted({type(worker).__name__ for worker in workers}):
        those = [worker for worker in workers if type(worker).__name__ == kind]
        borne = sum((worker.expected for worker in those), Counter())
        lines.append(f"| {len(those)} {kind} | {sum(worker.turns for worker in those)} | "
                     + (", ".join(f"{what}: {count}" for what, count in sorted(borne.items())) or "nothing") + " |")
    lines += ["", "| what went wrong, or was done | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(Counter(name for _, name in trouble.done).items())]
    grown = growth(samples)
    lines += ["", "Memory of the process that lived longest: "
              + ("not watched long enough" if grown is None else f"{grown:+.1%} from its first half to its second")]
    opened = growth(samples, DESCRIPTORS)
    lines += ["", "Its descriptors: " + ("not watched long enough" if opened is None else f"{opened:+.1%}")]
    if samples:
        for name, column, title in PLOTS:
            (folder / f"{name}.svg").write_text(plot(samples, column, title, trouble.done), encoding="utf-8")
            lines += ["", f"![{title}]({name}.svg)"]
    path = folder / "report.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
