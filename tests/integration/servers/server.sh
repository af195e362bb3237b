# A CGI program: lines end in LF here, as in most of them.
case $REQUEST_URI in
    /fold) printf 'X-A: a;\n  b\nContent-Type: text/plain\n\nok' ;;
    /204) printf 'Status: 204 No Content\n\nhello' ;;
    /600) printf 'Status: 600 Odd\n\nok' ;;
    /post) printf 'Content-Type: text/plain\n\n%s' "${CONTENT_LENGTH:-none}" ;;
esac
