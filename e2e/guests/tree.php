<?php
// Makes, changes, lists and removes files in the directory that its environment names, and says what it sees.
$dir = getenv('DIR');
// node:wasi leaves out the dots, which Linux has.
function names(string $dir): array { return array_values(array_diff(scandir($dir), ['.', '..'])); }
for ($i = 0; $i < 60; $i++) {
    $sub = sprintf('%s/%02d', $dir, $i % 6);
    if (!is_dir($sub)) mkdir($sub, 0777, true);
    file_put_contents("$sub/file $i.txt", str_repeat("line of $i\n", $i));
}
file_put_contents("$dir/00/file 0.txt", "added\n", FILE_APPEND | LOCK_EX);
$seen = [];
foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($dir, FilesystemIterator::SKIP_DOTS)) as $file) {
    $seen[substr($file->getPathname(), strlen($dir))] = [$file->getSize(), md5_file($file->getPathname())];
}
ksort($seen);
echo count($seen), ' files, ', md5(json_encode($seen)), "\n";
rename("$dir/05", "$dir/five") or exit(1);
copy("$dir/five/file 59.txt", "$dir/copy") or exit(1);
touch("$dir/copy", 1500000000);
clearstatcache();
echo json_encode([filemtime("$dir/copy"), filesize("$dir/copy"), names("$dir/five")]), "\n";
$f = fopen("$dir/copy", 'r+');
fseek($f, -5, SEEK_END);
fwrite($f, '-fin-');
ftruncate($f, 30);
rewind($f);
echo json_encode(fread($f, 100)), ' ', json_encode(feof($f)), "\n";
fclose($f);
echo json_encode(@rmdir("$dir/five")), ' ', json_encode(@file_get_contents("$dir/none")), "\n";
foreach (glob("$dir/*/*.txt") as $path) unlink($path) or print("left $path\n");
foreach (names($dir) as $name) if (is_dir("$dir/$name")) rmdir("$dir/$name") or print("left $name\n");
unlink("$dir/copy");
echo json_encode(names($dir)), "\n";
echo PHP_VERSION, ' ', implode(' ', str_split(strrev(hash('sha256', 'abc')), 32)), "\n";
