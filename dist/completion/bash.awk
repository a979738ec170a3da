# dist/completion/words as bash's completion of `program` (awk -v program=NAME).
function patterns(of, n, i, s) {
	for (i = 1; i <= n; i++)
		s = s (i > 1 ? " | " : "") "'" of[i] "'"
	return s
}
function arm(pattern, what) {
	printf "    %s) %s ;;\n", pattern, what
}
BEGIN { FS = "\t" }
{ split($2, at, " ") }
at[1] != program { next }
$1 == "command" {
	sub_path[++n_sub] = $2 " " $3
	cmds[$2] = cmds[$2] " " $3
}
$1 == "option" {
	n = split($3, name, ",")
	for (i = 1; i <= n; i++) {
		opts[$2] = opts[$2] " " name[i]
		if ($4 != "") {
			valued[++n_valued] = $2 "|" name[i]
			value[n_valued] = $4
		}
	}
}
$1 == "argument" {
	args[$2] = args[$2] " " $3
	if ($3 == "COMMAND")
		runs[++n_runs] = $2
}
!seen[$2]++ { paths[++n_paths] = $2 }
END {
	f = program
	gsub(/[^a-z]/, "_", f)
	printf "# bash: completion for %s. Made from dist/completion/words.\n", program
	printf "_%s() {\n", f
	print "  local cur=${COMP_WORDS[COMP_CWORD]} prev= path=" program " word i words= kind=words stop="
	print "  COMPREPLY=()"
	print "  for ((i = 1; i < COMP_CWORD; i++)); do"
	print "    word=${COMP_WORDS[i]}"
	print "    [ \"$word\" != = ] || { ((++i)); prev=; continue; }"
	print "    if [ -n \"$prev\" ]; then prev=; continue; fi"
	print "    case \"$path|$word\" in"
	if (n_valued)
		arm(patterns(valued, n_valued), "prev=$word; continue")
	print "    esac"
	print "    case \"$path $word\" in"
	if (n_sub)
		arm(patterns(sub_path, n_sub), "path=\"$path $word\"; continue")
	print "    esac"
	print "    [ \"$word\" != -- ] || stop=yes"
	print "    case $path,$word in"
	for (i = 1; i <= n_runs; i++) {
		arm("'" runs[i] ",--'", "((++i)); kind=run; break")
		arm("'" runs[i] ",-'*", "")
		arm("'" runs[i] ",'*", "kind=run; break")
	}
	print "    esac"
	print "  done"
	print "  # --option=VALUE comes in three words"
	print "  if [ \"$cur\" = = ]; then cur=; prev=${COMP_WORDS[COMP_CWORD - 1]}"
	print "  elif [ \"$COMP_CWORD\" -gt 2 ] && [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = = ]; then prev=${COMP_WORDS[COMP_CWORD - 2]}; fi"
	print "  if [ $kind = run ] && [ \"$i\" -lt \"$COMP_CWORD\" ]; then"
	print "    if declare -F _comp_command_offset >/dev/null; then _comp_command_offset \"$i\""
	print "    elif declare -F _command_offset >/dev/null; then _command_offset \"$i\""
	print "    else mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null; fi"
	print "    return"
	print "  fi"
	print "  case \"$path|$prev\" in"
	for (i = 1; i <= n_valued; i++) {
		kind = value[i] ~ /^(FILE|IDENTITY|LIST)$/ ? "files" : value[i] ~ /^DIR/ ? "dirs" : "none"
		by[kind] = by[kind] (by[kind] ? " | " : "") "'" valued[i] "'"
	}
	for (kind in by)
		arm(by[kind], "kind=" kind)
	print "    *)"
	print "      [ $kind != run ] || kind=commands"
	print "      case $path in"
	for (i = 1; i <= n_paths; i++) {
		p = paths[i]
		kind = args[p] ~ /COMMAND/ ? "commands" : args[p] ~ /FILE|LIST|IDENTITY/ ? "files" : \
			args[p] ~ /DIR/ ? "dirs" : "words"
		printf "        '%s')\n          kind=%s\n", p, kind
		printf "          case $stop$cur in\n            -*) kind=words words='%s' ;;\n", substr(opts[p], 2)
		if (cmds[p])
			printf "            *) kind=words words='%s' ;;\n", substr(cmds[p], 2)
		else if (kind == "words")
			printf "            *) words='%s' ;;\n", substr(opts[p], 2)
		printf "          esac ;;\n"
	}
	if (cmds[program] ~ / help$/)
		printf "        '%s help') kind=words words='%s' ;;\n", program, substr(cmds[program], 2)
	print "      esac ;;"
	print "  esac"
	print "  case $kind in"
	print "    words) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;"
	print "    files) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null ;;"
	print "    dirs) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); compopt -o filenames 2>/dev/null ;;"
	print "    commands) mapfile -t COMPREPLY < <(compgen -c -- \"$cur\") ;;"
	print "  esac"
	print "}"
	printf "complete -F _%s %s\n", f, program
}
