# dist/completion/words as fish's completion of `program` (awk -v program=NAME).
function quoted(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/'/, "\\'", s)
	return "'" s "'"
}
function add(path, what) {
	printf "complete -c %s -n '__%s_at %s' %s\n", program, f, path, what
}
BEGIN {
	FS = "\t"
	f = program
	gsub(/[^a-z]/, "_", f)
}
{ split($2, at, " ") }
at[1] != program { next }
{ row[++n] = $0 }
$1 == "command" { path = path " " quoted($2 " " $3) }
$1 == "option" && $4 != "" {
	k = split($3, name, ",")
	for (i = 1; i <= k; i++) {
		valued = valued " " quoted($2 "|" name[i])
		before[$2] = before[$2] " " name[i]
	}
}
END {
	printf "# fish: completion for %s. Made from dist/completion/words.\n", program
	printf "# Whether the words so far are of this command.\nfunction __%s_at\n", f
	printf "    set -l at %s\n    set -l skip no\n", program
	printf "    set -l words (commandline -opc)\n    for w in $words[2..]\n"
	printf "        if test $skip = yes\n            set skip no\n            continue\n        end\n"
	if (valued)
		printf "        if contains -- \"$at|$w\"%s\n            set skip yes\n            continue\n        end\n", valued
	if (path)
		printf "        if contains -- \"$at $w\"%s\n            set at \"$at $w\"\n        end\n", path
	printf "    end\n    test \"$at\" = \"$argv\"\nend\n"
	printf "complete -c %s -f\n", program
	for (r = 1; r <= n; r++) {
		split(row[r], c, "\t")
		if (c[1] == "command") {
			add(c[2], "-a " c[3] " -d " quoted(c[4]))
			if (c[2] == program)
				add(program " help", "-a " c[3] " -d " quoted(c[4]))
		} else if (c[1] == "option") {
			k = split(c[3], name, ",")
			s = ""
			for (i = 1; i <= k; i++)
				s = s (name[i] ~ /^--/ ? "-l " substr(name[i], 3) : "-s " substr(name[i], 2)) " "
			if (c[4] != "")
				s = s (c[4] ~ /^(FILE|IDENTITY|LIST)$/ ? "-r -F " : c[4] ~ /^DIR/ ? \
					"-x -a '(__fish_complete_directories)' " : "-x ")
			add(c[2], s "-d " quoted(c[5]))
		} else if (c[1] == "argument") {
			if (c[3] == "COMMAND")
				add(c[2], "-x -a '(__fish_complete_subcommand --fcs-skip=" split(c[2], at, " ") \
					before[c[2]] ")'")
			else if (c[3] ~ /^(FILE|IDENTITY|LIST)$/)
				add(c[2], "-F")
			else if (c[3] ~ /^DIR/)
				add(c[2], "-x -a '(__fish_complete_directories)'")
		}
	}
}
