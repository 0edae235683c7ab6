# cmake -DIN=FILE -DOUT=FILE.h -DNAME=kName -P EmbedText.cmake: the text file as
# a C++ constant.
file(READ ${IN} text)
file(WRITE ${OUT}
  "#pragma once\nnamespace ponder {\ninline constexpr char ${NAME}[] = R\"EMBEDDED(${text})EMBEDDED\";\n}  // namespace ponder\n")
