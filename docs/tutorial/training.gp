# Losses and D's outputs over training, a row for each run of `runs`, from FOLDER/RUN.tsv with the columns step, loss_g,
# loss_d, d_real, d_fake.
# gnuplot -e "folder='.'; runs='tutorial-bce tutorial-lsgan'; out='training.svg'" training.gp
rows = words(runs)
set terminal svg size 900,60+210*rows font "Helvetica,13" background "white"
set datafile separator tab
set grid lc rgb "#dddddd"
set border 3
set tics nomirror
set linetype 1 lc rgb "#d55e00" lw 1.5
set linetype 2 lc rgb "#0072b2" lw 1.5
set linetype 3 lc rgb "#009e73" lw 1.5
set linetype 4 lc rgb "#cc79a7" lw 1.5
set yrange [*<0:*]
set ytics autofreq
set output out
# Room below for the numbers, the name and the key of the last row.
set multiplot layout rows, 2 margins 0.06, 0.98, 0.42 / (rows + 0.2), 1 - 0.18 / (rows + 0.2) spacing 0.07, 0.38 / (rows + 0.2)
set key off
do for [i = 1:rows] {
  file = sprintf("%s/%s.tsv", folder, word(runs, i))
  if (i == rows) {
    set xlabel "step"
    set key below center horizontal
  }
  set title sprintf("%s: losses", word(runs, i)) noenhanced
  plot file skip 1 using 1:2 with lines lt 1 title "G", file skip 1 using 1:3 with lines lt 2 title "D"
  set title sprintf("%s: D's mean output", word(runs, i)) noenhanced
  plot file skip 1 using 1:4 with lines lt 3 title "real data", file skip 1 using 1:5 with lines lt 4 title "fakes"
}
unset multiplot
