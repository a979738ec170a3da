# dist/completion/words as zsh's completion of `program` (awk -v program=NAME).
function name_of(path) {
	gsub(/[^a-z]/, "_", path)
	return "_" path
}
# In single quotes.
function quoted(s) {
	gsub(/'/, "'\\''", s)
	return "'" s "'"
}
# In a spec of _arguments: no brackets, no colons.
function plain(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/[][]/, "\\\\&", s)
	gsub(/:/, "\\:", s)
	return s
}
function action(value) {
	if (value ~ /^(FILE|IDENTITY|LIST)$/)
		return "_files"
	return value ~ /^DIR/ ? "_files -/" : " "
}
BEGIN { FS = "\t" }
{ split($2, at, " ") }
at[1] != program { next }
!seen[$2]++ { paths[++n_paths] = $2 }
$1 == "command" {
	cmds[$2] = cmds[$2] "    " quoted($3 ":" plain($4)) "\n"
	arms[$2] = arms[$2] "        " $3 ") " name_of($2 " " $3) " ;;\n"
	if ($3 == "help")
		helps = 1
}
$1 == "option" {
	n = split($3, name, ",")
	spec = "[" plain($5) "]" ($4 != "" ? ":" $4 ":" action($4) : "")
	# both spellings exclude each other; a long one may have its value behind a =
	for (i = 1; i <= n; i++)
		opts[$2] = opts[$2] " \\\n    " (n > 1 ? "'(" name[1] " " name[2] ")" : "'") \
			name[i] ($4 != "" ? (name[i] ~ /^--/ ? "=" : "+") : "") substr(quoted(spec), 2)
}
$1 == "argument" { args[$2] = args[$2] (args[$2] ? " " : "") $3 }
END {
	printf "#compdef %s\n# zsh: completion for %s. Made from dist/completion/words.\n\n", program, program
	for (i = 1; i <= n_paths; i++) {
		p = paths[i]
		printf "%s() {\n  local curcontext=$curcontext state line\n", name_of(p)
		if (cmds[p]) {
			printf "  local -a commands=(\n%s  )\n", cmds[p]
			printf "  _arguments -C%s \\\n    '1:command:->command' '*::argument:->argument'\n", opts[p]
			printf "  case $state in\n    command) _describe -t commands command commands ;;\n"
			printf "    argument)\n      curcontext=${curcontext%%:*:*}:%s-$words[1]:\n      case $words[1] in\n%s      esac ;;\n  esac\n", \
				p == program ? p : substr(name_of(p), 2), arms[p]
		} else {
			printf "  _arguments -S%s", opts[p]
			if (args[p] ~ /COMMAND/)
				printf " \\\n    '(-)1:command: _command_names -e' '*::argument: _normal'"
			else {
				n = split(args[p], a, " ")
				for (k = 1; k <= n; k++)
					printf " \\\n    '*:%s:%s'", tolower(a[k]), action(a[k])
			}
			print ""
		}
		print "}\n"
	}
	if (helps)
		printf "%s() {\n  local -a commands=(\n%s  )\n  _describe -t commands command commands\n}\n\n", \
			name_of(program " help"), cmds[program]
	printf "%s \"$@\"\n", name_of(program)
}
