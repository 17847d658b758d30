"""Makes a tree of 600 files in the directory that it is told, reads, lists, renames, copies and removes them, and says what it
saw. Ten files stay behind."""
import hashlib
import os
import shutil
import sys

root = sys.argv[1]
os.chdir(root)
FIRST = 1_500_000_000_123_456_789  # nanoseconds


def digest(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def listing(top):
    lines = []
    for directory, directories, files in os.walk(top):
        directories.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            status = os.stat(path)
            lines.append(f"{path} {status.st_size} {status.st_mtime_ns} {content}")
    return lines


def report(what, top):
    lines = listing(top)
    print(f"{what}: {len(lines)} files, {digest(lines)}")


for i in range(600):
    directory = f"made/{i % 20:02}/deep"
    os.makedirs(directory, exist_ok=True)
    path = f"{directory}/file {i:03}.txt"
    with open(path, "w") as file:
        for line in range(i):
            file.write(f"line {line} of file {i}\n")
    os.utime(path, ns=(FIRST + i, FIRST + i * 1_000_000_001))
report("written", "made")

os.makedirs("copies")
for name in sorted(os.listdir("made")):
    shutil.copytree(f"made/{name}", f"copies/{name}")  # copies each file by copy2, that is with copystat
report("copied", "copies")
same = [line.split(" ", 1)[1] for line in listing("copies")] == [line.split(" ", 1)[1] for line in listing("made")]
print("a copy has its original's contents, sizes and times:", same)

shutil.copyfile("made/01/deep/file 001.txt", "plain")
shutil.copystat("made/01/deep/file 001.txt", "plain")
print("copystat:", os.stat("plain").st_mtime_ns)
os.remove("plain")

for i in range(0, 600, 2):
    path = f"made/{i % 20:02}/deep/file {i:03}.txt"
    os.rename(path, path.replace("deep/file", "moved"))
os.rename("made/19", "made/nineteen")
report("renamed", "made")

with open("made/00/moved 000.txt", "a") as file:
    file.write("appended")
with open("made/00/moved 000.txt", "r+") as file:
    file.seek(2)
    file.write("!")
    file.seek(0, os.SEEK_END)
    print("read, changed, told:", file.tell(), open("made/00/moved 000.txt").read())

try:
    os.rmdir("made")
except OSError as error:
    print("rmdir of a full directory:", error.strerror)
for i in range(600):
    if i % 60 != 1:
        os.remove(f"copies/{i % 20:02}/deep/file {i:03}.txt")
shutil.rmtree("made")
print("left:", *sorted(os.listdir(".")))
report("left", "copies")
