# Values and slopes of the losses by D's raw output, from the table of `gan losses --curves`.
# gnuplot -e "table='losses.tsv'; out='losses.svg'; other='losses-other.svg'" losses.gp
set datafile separator tab
set xrange [-6:6]
set xtics 2
set grid lc rgb "#dddddd"
set xzeroaxis lc rgb "#888888"
set border 3
set tics nomirror
set linetype 1 lc rgb "#0072b2" lw 2
set linetype 2 lc rgb "#0072b2" lw 2 dt "-"
set linetype 3 lc rgb "#d55e00" lw 2
set linetype 4 lc rgb "#009e73" lw 2
set linetype 5 lc rgb "#d55e00" lw 2 dt "-"
set linetype 6 lc rgb "#009e73" lw 2 dt "-"
set linetype 7 lc rgb "#cc79a7" lw 2
set linetype 8 lc rgb "#e69f00" lw 2 dt "-"
set linetype 9 lc rgb "#222222" lw 2 dt "."

# Curve i is that of these settings of this loss. The titles are those of the key.
array loss[9] = ["bce", "bce", "least_squares", "least_squares", "least_squares", "least_squares", \
                 "hinge", "wasserstein", "relativistic"]
array settings[9] = ["", "loss.saturating=true", "", "loss.coding=pearson", "loss.sigmoid=true", \
                     "loss.coding=pearson loss.sigmoid=true", "", "", ""]
array title[9] = ["cross entropy, -log D", "cross entropy, log(1 - D): saturating", "least squares (0, 1, 1)", \
                  "least squares (-1, 1, 0)", "least squares (0, 1, 1), Sigmoid", "least squares (-1, 1, 0), Sigmoid", \
                  "hinge", "Wasserstein", "relativistic"]
of(i, value) = strcol(1) eq loss[i] && strcol(2) eq settings[i] ? value : NaN

set terminal svg size 900,700 font "Helvetica,13" background "white"
set output out
set multiplot layout 2, 2 margins 0.05, 0.98, 0.17, 0.95 spacing 0.07, 0.1
set key off
set title "G's loss where D says this of a fake"
set yrange [-6:8]
plot for [i = 1:6] table skip 1 every 2 using 3:(of(i, $4)) with lines lt i
set title "its slope: how hard, and which way, G is pulled"
set yrange [-4:3]
set key at screen 0.67, 0.08 left top Left reverse samplen 3
plot for [i = 1:4] table skip 1 every 2 using 3:(of(i, $5)) with lines lt i notitle, \
     for [i = 5:6] table skip 1 every 2 using 3:(of(i, $5)) with lines lt i title title[i]
set xlabel "D's raw output"
set title "slope of D's loss where D says this of real data"
set key at screen 0.03, 0.08
plot for [i in "1 3 4 5 6"] table skip 1 every 2 using 3:(of(int(i), $7)) with lines lt int(i) notitle, \
     for [i = 1:2] NaN with lines lt i title title[i]
set title "slope of D's loss where D says this of a fake"
set yrange [-3:4]
set key at screen 0.4, 0.08
plot for [i in "1 3 4 5 6"] table skip 1 every 2 using 3:(of(int(i), $9)) with lines lt int(i) notitle, \
     for [i in "3 4"] NaN with lines lt int(i) title title[int(i)]
unset multiplot

set terminal svg size 900,380 font "Helvetica,13" background "white"
set output other
set multiplot layout 1, 2 margins 0.05, 0.98, 0.27, 0.9 spacing 0.07, 0.1
set title "slope of G's loss where D says this of a fake"
set yrange [-1.5:0.5]
set ytics 0.5
set key at screen 0.25, 0.12
plot for [i in "1 7 8 9"] table skip 1 using 3:(of(int(i), $5)) with lines lt int(i) notitle, \
     for [i in "1 7"] NaN with lines lt int(i) title title[int(i)]
set title "slope of D's loss where D says this of a fake"
set yrange [-0.5:1.5]
set key at screen 0.55, 0.12
plot for [i in "1 7 8 9"] table skip 1 using 3:(of(int(i), $9)) with lines lt int(i) notitle, \
     for [i in "8 9"] NaN with lines lt int(i) title title[int(i)]
unset multiplot
